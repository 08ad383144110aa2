//! Who holds a key, and who may stand in.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Who holds one key, as one ring says it, or two while the ring changes.
///
/// Nodes named twice are one node, and primaries are no fallbacks. While the ring changes an operation must meet its
/// level among the primaries of both rings.
///
/// ```
/// use crdt_sync::leaderless::coordinate::Replicas;
///
/// let replicas = Replicas::new(3, ["a", "b", "c"]) // the ring of now
///     .jointly_with(3, ["b", "c", "d"])            // and the one to come
///     .with_fallbacks(["d", "e", "f"])             // in the order in which they are asked
///     .believed_down(["b"])
///     .coordinated_by("c");
/// assert_eq!(replicas.primaries(), ["c", "b", "a", "d"]); // the coordinator, who counts twice, the others
/// assert_eq!(replicas.fallbacks(), ["e", "f"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas<N> {
    pub(super) sets: Vec<ReplicaSet<N>>,
    named_fallbacks: Vec<N>,
    down: BTreeSet<N>,
    pub(super) coordinator: Option<N>,
}

/// The primaries of one ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReplicaSet<N> {
    /// How many there should be (N). In a cluster smaller than that there are fewer.
    pub(super) n: u32,
    pub(super) primaries: Vec<N>,
}

impl<N: Ord + Copy> Replicas<N> {
    /// The primaries of a key that should have `n` of them. Fewer may be named: the cluster is smaller than that.
    pub fn new(n: u32, primaries: impl IntoIterator<Item = N>) -> Self {
        let set = ReplicaSet { n, primaries: distinct(primaries) };
        Self { sets: [set].into(), named_fallbacks: Vec::new(), down: BTreeSet::new(), coordinator: None }
    }

    /// The same, while another ring takes over: the level must be met among its primaries, too.
    pub fn jointly_with(mut self, n: u32, primaries: impl IntoIterator<Item = N>) -> Self {
        self.sets.push(ReplicaSet { n, primaries: distinct(primaries) });
        self
    }

    /// Who may stand in for a primary, in the order in which they are asked.
    pub fn with_fallbacks(mut self, fallbacks: impl IntoIterator<Item = N>) -> Self {
        self.named_fallbacks = distinct(fallbacks);
        self
    }

    /// Who is believed down: they are not asked.
    pub fn believed_down(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.down.extend(nodes);
        self
    }

    /// Who carries out the operation. It is not down, is asked first, and is the first fallback where it is one.
    pub fn coordinated_by(mut self, node: N) -> Self {
        self.coordinator = Some(node);
        self
    }

    /// All primaries in the order in which they are asked: the coordinator, those that count in both rings, the others.
    pub fn primaries(&self) -> Vec<N> {
        let mut all = distinct(self.sets.iter().flat_map(|set| set.primaries.iter().copied()));
        let sets_without = |node: &N| self.sets.iter().filter(|set| !set.primaries.contains(node)).count();
        all.sort_by_key(|node| (Some(*node) != self.coordinator, sets_without(node)));
        all
    }

    /// Those that may stand in for a primary, in the order in which they are asked: the coordinator first, if it may.
    pub fn fallbacks(&self) -> Vec<N> {
        let is_primary = |node: &N| self.sets.iter().any(|set| set.primaries.contains(node));
        let mut others: Vec<N> =
            self.named_fallbacks.iter().copied().filter(|node| !is_primary(node)).collect();
        others.sort_by_key(|node| Some(*node) != self.coordinator);
        others
    }

    /// Whether `node` is believed down.
    pub fn is_down(&self, node: N) -> bool {
        self.coordinator != Some(node) && self.down.contains(&node)
    }

    /// Takes note that `node` cannot be reached.
    pub(super) fn lose(&mut self, node: N) {
        self.down.insert(node);
    }
}

/// In their order, each once.
fn distinct<N: Ord + Copy>(nodes: impl IntoIterator<Item = N>) -> Vec<N> {
    let mut met = BTreeSet::new();
    nodes.into_iter().filter(|node| met.insert(*node)).collect()
}
