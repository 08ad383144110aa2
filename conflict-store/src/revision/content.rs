//! What a version says, apart from where it hangs.

use alloc::boxed::Box;

use crdt_core::Stamp;

use super::digest::{Digest, Digester};

/// What a version says, apart from where it hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<V> {
    /// All of it.
    Whole {
        /// What was written; `None` deletes the document.
        body: Option<V>,
        /// When, by whom and by which rule, where that is kept.
        attribution: Option<Attribution>,
    },
    /// Only its digest. It proves the id, and with it where the version hangs.
    Digest(Digest),
}

/// When and by whom a version was written, or by which rule, where that is kept.
///
/// Few collections keep stamps and few versions are written by rules, so this is held apart and a
/// version without it pays one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution(Box<Attributed>);

/// At least one of them is there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attributed {
    stamp: Option<Stamp>,
    rule: Option<Box<str>>,
}

impl Attribution {
    /// With this stamp and this rule; `None` when there is neither.
    ///
    /// ```
    /// use conflict_store::Attribution;
    ///
    /// assert_eq!(Attribution::new(None, None), None);
    /// let by_rule = Attribution::new(None, Some("longest".into()));
    /// assert_eq!(by_rule.as_ref().and_then(Attribution::rule), Some("longest"));
    /// ```
    pub fn new(stamp: Option<Stamp>, rule: Option<Box<str>>) -> Option<Self> {
        (stamp.is_some() || rule.is_some()).then(|| Self(Box::new(Attributed { stamp, rule })))
    }

    /// When and by whom the version was written.
    pub fn stamp(&self) -> Option<Stamp> {
        self.0.stamp
    }

    /// The rule that wrote it, if a rule did.
    pub fn rule(&self) -> Option<&str> {
        self.0.rule.as_deref()
    }
}

impl<V> Content<V> {
    /// Something written, without stamp or rule; `None` deletes the document.
    pub const fn of(body: Option<V>) -> Self {
        Self::Whole { body, attribution: None }
    }

    /// Something written at this time or by this rule; `None` as `body` deletes the document.
    pub fn attributed(body: Option<V>, stamp: Option<Stamp>, rule: Option<Box<str>>) -> Self {
        Self::Whole { body, attribution: Attribution::new(stamp, rule) }
    }
}

impl<V: AsRef<[u8]>> Content<V> {
    /// The digest that enters the id of the version. O(length of the body).
    ///
    /// The body enters the id through this digest and not directly, so that a history stays
    /// verifiable where bodies are kept elsewhere or not at all.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Whole { body, attribution } => {
                whole_digest(body.as_ref().map(AsRef::as_ref), attribution.as_ref())
            }
            Self::Digest(digest) => *digest,
        }
    }
}

const LIVE: u8 = 1 << 0;
const STAMPED: u8 = 1 << 1;
const RULED: u8 = 1 << 2;

/// The digest of content that is known.
pub(super) fn whole_digest(body: Option<&[u8]>, attribution: Option<&Attribution>) -> Digest {
    let stamp = attribution.and_then(Attribution::stamp);
    let rule = attribution.and_then(Attribution::rule);
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    let mut digester = Digester::new(b"conflict-store version content 1");
    digester
        .write(&[flag(body.is_some(), LIVE) | flag(stamp.is_some(), STAMPED) | flag(rule.is_some(), RULED)]);
    if let Some(Stamp { time, replica }) = stamp {
        digester.write(&time.millis().to_le_bytes());
        digester.write(&time.counter().to_le_bytes());
        digester.write(replica.as_bytes());
    }
    if let Some(rule) = rule {
        digester.write_length(rule.len());
        digester.write(rule.as_bytes());
    }
    digester.write(body.unwrap_or_default());
    digester.finish()
}
