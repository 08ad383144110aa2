//! The dot stores against a naive model, over random histories of three replicas; and lessons.

mod histories;
mod lessons;
#[cfg(feature = "serde")]
mod strictness;
