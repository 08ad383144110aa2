//! How many repairs reads may cause.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use crate::time::Instant;

/// Bounds on the repairs that reads cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairsLimit {
    /// A repair more is granted each time this long has passed. Zero means no limit.
    pub interval: Duration,
    /// So many are granted at once after a quiet time.
    pub burst: u32,
    /// So many granted repairs are remembered; the oldest is forgotten for a new one.
    pub remembered: usize,
    /// A repair that was granted is granted again after this long: the first may have been lost.
    pub repeat_after: Duration,
}

impl Default for RepairsLimit {
    /// A thousand repairs a second.
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(1),
            burst: 100,
            remembered: 1 << 12,
            repeat_after: Duration::from_secs(10),
        }
    }
}

/// Whether a repair may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a repair that is not granted is not sent"]
pub enum Permit {
    /// It may.
    Granted,
    /// The node was sent this version of the key not long ago.
    Repeated,
    /// There are too many repairs at the moment. Anti-entropy will do it.
    TooMany,
}

/// Limits the repairs of one coordinator: a token bucket, and a memory of what was sent to whom.
///
/// A key that is read more often than its repair takes would be repaired by every read. So a version of a key is
/// granted once for each node: a hot key costs at most N - 1 repairs per distinct version that some replica has.
///
/// It is meant for [`Repair::Afterwards`](super::Repair::Afterwards). A read that must repair before its reply asks
/// nobody; [`note`](Self::note) tells the memory of it.
///
/// O(log remembered) a call, in bounded memory.
///
/// ```
/// use core::time::Duration;
/// use crdt_sync::leaderless::coordinate::{Permit, Repairs, RepairsLimit};
/// use crdt_sync::time::Instant;
///
/// let (key, version, now) = (1, 7, Instant::default());
/// let mut repairs = Repairs::new(RepairsLimit::default());
/// assert_eq!(repairs.permit(key, version, "b", now), Permit::Granted);
/// assert_eq!(repairs.permit(key, version, "b", now), Permit::Repeated);
/// assert_eq!(repairs.permit(key, version, "c", now), Permit::Granted);
/// repairs.forget(key, version, "b"); // it could not be reached
/// assert_eq!(repairs.permit(key, version, "b", now), Permit::Granted);
/// ```
#[derive(Debug, Clone)]
pub struct Repairs<N> {
    limit: RepairsLimit,
    tokens: u32,
    /// When `tokens` was right.
    counted_at: Instant,
    /// When each repair was granted.
    granted: BTreeMap<Sent<N>, Instant>,
    /// The same in the order of granting. Some may have been forgotten, or granted again since.
    order: VecDeque<(Sent<N>, Instant)>,
}

/// Key digest, version digest, and to whom.
type Sent<N> = (u128, u128, N);

impl<N: Ord + Copy> Repairs<N> {
    /// A limiter that begins with a full burst.
    pub fn new(limit: RepairsLimit) -> Self {
        Self {
            limit,
            tokens: limit.burst,
            counted_at: Instant::default(),
            granted: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether `node` may be sent the version with digest `version` of the key with digest `key`. If so, it is taken
    /// to be sent.
    pub fn permit(&mut self, key: u128, version: u128, node: N, now: Instant) -> Permit {
        if self.is_recent((key, version, node), now) {
            return Permit::Repeated;
        }
        self.refill(now);
        if !self.limit.interval.is_zero() {
            let Some(left) = self.tokens.checked_sub(1) else { return Permit::TooMany };
            self.tokens = left;
        }
        self.note(key, version, node, now);
        Permit::Granted
    }

    /// Takes note of a repair that had to be sent, limit or not.
    pub fn note(&mut self, key: u128, version: u128, node: N, now: Instant) {
        if self.limit.remembered == 0 {
            return;
        }
        let sent = (key, version, node);
        self.granted.insert(sent, now);
        self.order.push_back((sent, now));
        while self.order.len() > self.limit.remembered {
            self.drop_oldest();
        }
    }

    /// Forgets a repair that did not arrive, so that the next read may send it.
    pub fn forget(&mut self, key: u128, version: u128, node: N) {
        self.granted.remove(&(key, version, node));
    }

    /// How many repairs are remembered.
    pub fn remembered(&self) -> usize {
        self.granted.len()
    }

    fn is_recent(&self, sent: Sent<N>, now: Instant) -> bool {
        self.granted.get(&sent).is_some_and(|at| now.since(*at) < self.limit.repeat_after)
    }

    fn drop_oldest(&mut self) {
        let Some((sent, at)) = self.order.pop_front() else { return };
        if self.granted.get(&sent) == Some(&at) {
            self.granted.remove(&sent);
        }
    }

    fn refill(&mut self, now: Instant) {
        let interval = self.limit.interval.as_micros().max(1);
        let gained = now.since(self.counted_at).as_micros() / interval;
        let tokens = u128::from(self.tokens).saturating_add(gained).min(u128::from(self.limit.burst));
        self.tokens = u32::try_from(tokens).unwrap_or(self.limit.burst);
        // What is left of an interval counts towards the next token.
        let spent = u64::try_from(gained * interval).unwrap_or(u64::MAX);
        self.counted_at = self.counted_at + Duration::from_micros(spent);
    }
}

#[cfg(test)]
mod tests;
