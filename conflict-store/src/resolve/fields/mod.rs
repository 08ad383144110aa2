//! Bodies made of named fields, merged field by field.
//!
//! `merge` is the rule; `bases` finds what two versions have in common; `contest` decides per field
//! which values stand against each other; `rule` decides among those; `lines` is a ready form of
//! body.

mod bases;
mod contest;
mod lines;
mod merge;
mod rule;

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use contest::FieldBase;
pub use lines::{Lines, LinesError};
pub use merge::FieldMerge;
pub use rule::{FieldConflict, FieldResolution, FieldRule, FieldValue};

/// The fields of a body by name.
pub type FieldMap = BTreeMap<String, Vec<u8>>;

/// How a body is taken apart into named fields and put together again.
///
/// It must be a pure function both ways, and `encode` must be canonical: equal fields give equal
/// bodies, on every node, or equal merges would not be one version. What `encode` writes, `decode`
/// must read.
///
/// [`Lines`] is ready to use. For other bodies, JSON objects for instance, this is the one trait to
/// implement:
///
/// ```
/// use conflict_store::{FieldMap, Fields};
///
/// /// Two numbers of one byte.
/// struct Point;
///
/// impl Fields<Vec<u8>> for Point {
///     type Error = &'static str;
///
///     fn decode(&self, body: &Vec<u8>) -> Result<FieldMap, &'static str> {
///         let [x, y] = body.as_slice() else { return Err("a point is two bytes") };
///         Ok(FieldMap::from([("x".into(), vec![*x]), ("y".into(), vec![*y])]))
///     }
///
///     fn encode(&self, fields: &FieldMap) -> Result<Vec<u8>, &'static str> {
///         match (fields.get("x").map(Vec::as_slice), fields.get("y").map(Vec::as_slice)) {
///             (Some(&[x]), Some(&[y])) => Ok(vec![x, y]),
///             _ => Err("a point is two bytes"),
///         }
///     }
/// }
///
/// let fields = Point.decode(&vec![3, 4])?;
/// assert_eq!(Point.encode(&fields)?, [3, 4]);
/// # Ok::<(), &'static str>(())
/// ```
pub trait Fields<V> {
    /// Why a body has no fields, or fields have no body.
    type Error: fmt::Display;

    /// The fields of this body.
    fn decode(&self, body: &V) -> Result<FieldMap, Self::Error>;

    /// The body with these fields.
    fn encode(&self, fields: &FieldMap) -> Result<V, Self::Error>;
}
