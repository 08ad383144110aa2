#![doc = include_str!("../README.md")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "reads the workspace from disk, asks cargo"
)]

pub mod crates;
pub mod dependencies;
pub mod docs;
pub mod fuzz;
pub mod modules;
pub mod text;

mod rust;
mod workspace;

pub use workspace::{Complaint, Manifest, SourceFile, Workspace};

/// Ends the test with everything that is to be done, if anything is.
///
/// # Panics
/// If there is a complaint: it is how a test fails.
pub fn settle(complaints: &[Complaint]) {
    let list: Vec<String> = complaints
        .iter()
        .map(|complaint| {
            format!(
                "
  {complaint}"
            )
        })
        .collect();
    assert!(complaints.is_empty(), "{} to tidy up:{}", list.len(), list.concat());
}
