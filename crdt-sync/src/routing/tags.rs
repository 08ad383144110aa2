//! What an operator says of a node, and where the one who asks stands.

use alloc::string::String;
use alloc::vec::Vec;

/// What a node is for, in an operator's words.
///
/// ```
/// use crdt_sync::routing::Tags;
///
/// let reports = Tags::in_region("eu").for_analytics();
/// assert_eq!(reports.region.as_deref(), Some("eu"));
/// assert!(reports.analytics && !Tags::default().analytics);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tags {
    /// Where it stands; `None` where that was not said.
    pub region: Option<String>,
    /// It serves long questions: it has a slot of its own, is never promoted, and whoever did not ask for such a node
    /// never gets it.
    pub analytics: bool,
}

impl Tags {
    /// A node of `region` that serves everybody.
    pub fn in_region(region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), analytics: false }
    }

    /// The same node, for [`Audience::Analytics`] only.
    pub fn for_analytics(self) -> Self {
        Self { analytics: true, ..self }
    }
}

/// For whom a read is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// For users: never a node for analytics, be it the last one.
    #[default]
    Default,
    /// For reports: a node for analytics.
    Analytics {
        /// While no node for analytics is reachable, another one will do.
        or_default: bool,
    },
}

/// The regions as the one who asks sees them: its own, then the others, nearest first.
///
/// Whoever serves clients of several regions keeps a router in each. Without any region all nodes are equally far.
///
/// ```
/// use crdt_sync::routing::{Regions, Tags};
///
/// let from_paris = Regions::nearest_first(["eu", "us"]);
/// assert_eq!(from_paris.distance(&Tags::in_region("eu")), 0);
/// assert_eq!(from_paris.distance(&Tags::in_region("us")), 1);
/// // Farther than all that is listed.
/// assert_eq!(from_paris.distance(&Tags::in_region("ap")), 2);
/// assert_eq!(from_paris.distance(&Tags::default()), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions(Vec<String>);

impl Regions {
    /// The regions from the nearest to the farthest.
    pub fn nearest_first(regions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(regions.into_iter().map(Into::into).collect())
    }

    /// How many listed regions are nearer than this node; all of them when its region is not listed. O(regions).
    pub fn distance(&self, tags: &Tags) -> usize {
        let listed = |region: &String| self.0.iter().position(|other| other == region);
        tags.region.as_ref().and_then(listed).unwrap_or(self.0.len())
    }
}
