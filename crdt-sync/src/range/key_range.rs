//! A range of application keys, in the order of their bytes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::error::TreeError;
use super::limits::MAX_KEY_BYTES;

/// Keys from a start (inclusive) to an end (exclusive, or none at all).
///
/// ```
/// use crdt_sync::range::KeyRange;
///
/// # fn main() -> Result<(), crdt_sync::range::TreeError> {
/// let november = KeyRange::prefix(b"orders/2026-11/")?;
/// assert!(november.contains(b"orders/2026-11/30/17"));
/// assert!(!november.contains(b"orders/2026-12/01/1"));
/// assert_eq!(november, KeyRange::new(b"orders/2026-11/", Some(b"orders/2026-110"))?);
/// assert_eq!(november.to_string(), "orders/2026-11/ .. orders/2026-110");
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRange {
    start: Arc<[u8]>,
    end: Option<Arc<[u8]>>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self { start: Arc::default(), end: None }
    }

    /// The keys `start <= key`, and `key < end` if there is an end. Equal bounds make an empty range.
    ///
    /// Fails when the bounds are the wrong way round or longer than
    /// [`RangeTree::MAX_KEY_BYTES`](super::RangeTree::MAX_KEY_BYTES).
    pub fn new(start: &[u8], end: Option<&[u8]>) -> Result<Self, TreeError> {
        let len = start.len().max(end.map_or(0, <[u8]>::len));
        if len > MAX_KEY_BYTES {
            return Err(TreeError::KeyTooLong { len });
        }
        if end.is_some_and(|end| end < start) {
            return Err(TreeError::Reversed);
        }
        Ok(Self { start: start.into(), end: end.map(Into::into) })
    }

    /// The keys that begin with `prefix`.
    ///
    /// Fails when the prefix is longer than a key may be.
    pub fn prefix(prefix: &[u8]) -> Result<Self, TreeError> {
        let mut end = Vec::from(prefix);
        while end.pop_if(|last| *last == u8::MAX).is_some() {}
        let end = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Some(&end[..])
            }
            None => None,
        };
        Self::new(prefix, end)
    }

    /// The first key that can be in the range.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// The first key behind the range, if something is behind it.
    pub fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start() <= key && self.end().is_none_or(|end| key < end)
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        self.end().is_some_and(|end| end <= self.start())
    }

    /// Whether every key of `other` lies in this range.
    pub fn covers(&self, other: &Self) -> bool {
        let reaches = match (self.end(), other.end()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(end), Some(other)) => other <= end,
        };
        other.is_empty() || self.start() <= other.start() && reaches
    }

    /// The keys that lie in both ranges.
    pub fn intersection(&self, other: &Self) -> Self {
        let start = self.start.clone().max(other.start.clone());
        let ends = [self.end.clone(), other.end.clone()];
        let end = ends.into_iter().flatten().min().map(|end| end.max(start.clone()));
        Self { start, end }
    }

    /// Bounds that are known to be in order.
    pub(super) fn between(start: Arc<[u8]>, end: Option<Arc<[u8]>>) -> Self {
        Self { start, end }
    }

    pub(super) fn shared_bounds(&self) -> (Arc<[u8]>, Option<Arc<[u8]>>) {
        (self.start.clone(), self.end.clone())
    }
}

/// Both bounds, what is not ASCII escaped.
impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ..", self.start.escape_ascii())?;
        self.end().map_or(Ok(()), |end| write!(f, " {}", end.escape_ascii()))
    }
}
