//! What the acknowledgements of followers commit.

use core::time::Duration;

use super::{
    AddError, CommitOptions, Event, Follower, FollowerError, Link, Mode, Role, Visibility, WhenShort,
    count::Count,
    event::Events,
    followers::{Followers, left_behind},
    history::{DegradedRanges, Reigns},
    shortage::Backlog,
    waiting::Waiting,
};
use crate::{
    Lsn,
    ship::{AckPolicy, Marks, Stage},
};

/// A leader's view of what is committed: sans-IO, told everything, and asked for what follows from it.
///
/// # Two marks
///
/// [`committed`](Self::committed) is how far the log is on the leader's own disk *and* with all whom the policy
/// asks for, [`Flushed`](Stage::Flushed) there (or less, where the stage is less). Followers may apply up to
/// there, for nothing before it is taken back by a failover that the policy provides for.
///
/// [`acknowledged`](Self::acknowledged) is how far they have come to the stage that clients wait for. It is the
/// same mark up to `Flushed`. With [`Applied`](Stage::Applied) it follows by a round trip: a follower applies
/// what it has learnt to be committed, says so, and then the client is told. So a reader at a follower sees a
/// record before the writer hears of it, as with `PostgreSQL`'s `remote_apply`, and never the other way round.
///
/// Both need the leader's disk also where the stage is less than `Flushed`: what only followers have in memory
/// is nobody's.
///
/// # Reigns
///
/// Counting moves the marks only once it reaches the first record of the leader's own reign
/// ([`begin_reign`](Self::begin_reign)). A record of an earlier epoch on a majority of disks may yet be
/// overwritten by a leader that does not have it and was elected for a later epoch than the record's; one of
/// the current epoch cannot, and takes all before it along (Raft, §5.4.2, figure 8). So a leader begins with a
/// record of its own. The marks go back only in [`cut`](Self::cut).
///
/// # Cost
///
/// With *n* followers: an acknowledgement is O(log n), and O(n) more where it moves a mark; who comes, goes or
/// changes costs O(n log n), and so does an acknowledgement while degraded. A commit that waits costs
/// O(log waiting). Everything is bounded by [`limits`](crate::limits).
///
/// ```
/// use core::time::Duration;
/// use replication_log::{Epoch, Lsn};
/// use replication_log::ship::{AckPolicy, Commits, Marks};
/// use replication_log::ship::commit::{CommitOptions, CommitOutcome, Role};
///
/// let mut commits = Commits::new(CommitOptions::new(AckPolicy::any(1, ["b", "c"])?));
/// for follower in ["b", "c"] {
///     commits.add(follower, Role::Candidate)?;
/// }
/// commits.begin_reign(Epoch::new(1), Lsn::FIRST)?;
/// for follower in ["b", "c"] {
///     commits.connected(follower, Marks::default())?;
///     commits.streaming(follower)?;
/// }
///
/// let ticket = commits.wait(Lsn::FIRST, Some(Duration::from_secs(5)))?;
/// commits.durable(Lsn::FIRST, Duration::ZERO);
/// assert_eq!(commits.poll(), None, "nobody but the leader has it");
/// assert!(commits.report("c", &Marks::all(Lsn::FIRST))?);
/// assert_eq!(commits.committed(), Lsn::FIRST);
/// let committed = CommitOutcome::Committed { lsn: Lsn::FIRST, degraded: false };
/// assert_eq!(commits.poll(), Some((ticket, committed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Commits<N> {
    pub(super) options: CommitOptions<N>,
    pub(super) followers: Followers<N>,
    /// Those who decide; `None` while nobody is asked.
    pub(super) count: Option<Count<N>>,
    pub(super) reigns: Reigns,
    pub(super) durable: Lsn,
    pub(super) committed: Lsn,
    pub(super) acknowledged: Lsn,
    pub(super) mode: Mode,
    /// What has to be reached for the policy to hold again: see [`Self::rearm`].
    pub(super) goal: Option<Lsn>,
    pub(super) backlog: Backlog,
    pub(super) degraded: DegradedRanges,
    pub(super) waiting: Waiting,
    pub(super) events: Events<N>,
}

impl<N: Ord + Copy> Commits<N> {
    /// Of a log of which nothing is known yet, with nobody who follows.
    pub fn new(options: CommitOptions<N>) -> Self {
        let followers = Followers::new();
        Self {
            count: Count::new(&options.policy, options.stage, &followers),
            options,
            followers,
            reigns: Reigns::default(),
            durable: Lsn::ZERO,
            committed: Lsn::ZERO,
            acknowledged: Lsn::ZERO,
            mode: Mode::Armed,
            goal: None,
            backlog: Backlog::default(),
            degraded: DegradedRanges::default(),
            waiting: Waiting::default(),
            events: Events::new(),
        }
    }

    /// The last record that is committed: everybody may apply up to there.
    pub fn committed(&self) -> Lsn {
        self.committed
    }

    /// The last record whose writer may be told: never ahead of [`committed`](Self::committed).
    pub fn acknowledged(&self) -> Lsn {
        self.acknowledged
    }

    /// The last record that readers of the leader may see.
    ///
    /// With [`Visibility::AfterAck`] that is what is committed, also where clients wait for more: it is what
    /// followers show, so that a reader who goes from one to the other does not go back in time, and no
    /// failover that the policy provides for takes it back. With [`Visibility::BeforeAck`] it is what the
    /// leader's disk has.
    pub fn visible(&self) -> Lsn {
        match self.options.visibility {
            Visibility::AfterAck => self.committed,
            Visibility::BeforeAck => self.committed.max(self.durable),
        }
    }

    /// The last record on the leader's own disk.
    pub fn local_durable(&self) -> Lsn {
        self.durable
    }

    /// Whether the policy holds.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The options, with the policy that was set last.
    pub fn options(&self) -> &CommitOptions<N> {
        &self.options
    }

    /// How many acknowledgements are needed, and how many of those who count are connected and have caught up.
    pub fn needed_and_live(&self) -> (u32, u32) {
        self.count.as_ref().map_or((0, 0), |count| (count.needed(), count.live()))
    }

    /// The runs of records that were acknowledged while degraded, first and last of each, in ascending order.
    pub fn degraded_ranges(&self) -> impl Iterator<Item = (Lsn, Lsn)> + '_ {
        self.degraded.iter()
    }

    /// What is known of a follower.
    pub fn follower(&self, name: N) -> Option<Follower> {
        self.followers.get(name)
    }

    /// Every follower, in order of their names.
    pub fn followers(&self) -> impl Iterator<Item = (N, Follower)> + '_ {
        self.followers.iter()
    }

    /// The next thing an operator has to hear of.
    pub fn poll_event(&mut self) -> Option<Event<N>> {
        self.events.pop()
    }

    /// How many events were dropped because nobody asked for them.
    pub fn missed_events(&self) -> u64 {
        self.events.missed()
    }

    /// A follower more, of which nothing is known yet and which is not connected.
    pub fn add(&mut self, name: N, role: Role) -> Result<(), AddError> {
        self.followers.add(name, role)?;
        self.recount();
        Ok(())
    }

    /// A follower less. What it has acknowledged no longer counts, but what is committed stays so. Returns
    /// what was known of it.
    pub fn remove(&mut self, name: N) -> Option<Follower> {
        let known = self.followers.remove(name)?;
        self.recount();
        Some(known)
    }

    /// A follower is there, with this of the leader's log, and still gets what it missed.
    ///
    /// What it says replaces what was known: a follower that was restored has less than it had, and that is
    /// an [`Event`]. The marks must be of records that the two logs share.
    pub fn connected(&mut self, name: N, marks: Marks) -> Result<(), FollowerError> {
        let follower = self.followers.find(name)?;
        let [had, has] = [&follower.marks, &marks].map(|marks| marks.at(Stage::Flushed));
        (follower.link, follower.marks) = (Link::CatchingUp, marks);
        if has < had {
            self.events.push(Event::WentBack { follower: name, had, has });
        }
        self.recount();
        Ok(())
    }

    /// A connected follower has caught up, and gets each record as it is written.
    pub fn streaming(&mut self, name: N) -> Result<(), FollowerError> {
        self.followers.find_connected(name)?.link = Link::Streaming;
        self.recount();
        Ok(())
    }

    /// A follower is not connected any longer. What is on its disk stays a fact and counts; what it held in
    /// memory does not.
    pub fn gone(&mut self, name: N) -> Result<(), FollowerError> {
        let follower = self.followers.find(name)?;
        (follower.link, follower.marks) = (Link::Gone, left_behind(&follower.marks));
        self.recount();
        Ok(())
    }

    /// A connected follower has come so far, at least: reports may come in any order and twice. Returns whether
    /// [`committed`](Self::committed) or [`acknowledged`](Self::acknowledged) moved.
    pub fn report(&mut self, name: N, marks: &Marks) -> Result<bool, FollowerError> {
        let follower = self.followers.find_connected(name)?;
        if !follower.marks.join(marks) {
            return Ok(false);
        }
        let marks = follower.marks;
        let moved = self.count.as_mut().is_some_and(|count| count.note(name, &marks));
        // While degraded, also one that moves no mark may be the one that the policy waits for.
        Ok((moved || self.mode != Mode::Armed) && self.settle())
    }

    /// The leader's own disk has everything up to `lsn`. Returns whether a mark moved.
    pub fn durable(&mut self, lsn: Lsn, now: Duration) -> bool {
        if lsn <= self.durable {
            return false;
        }
        self.durable = lsn;
        // Before its first record is durable a reign cannot commit anything, whoever is there.
        if self.reigns.current().is_some_and(|first| lsn >= first)
            && matches!(self.options.when_short, WhenShort::DegradeToAsync { .. })
        {
            self.backlog.push(lsn, now);
        }
        self.settle()
    }

    /// From now on this policy decides, also over commits that wait already. What is committed stays so.
    pub fn set_policy(&mut self, policy: AckPolicy<N>) {
        self.options.policy = policy;
        self.recount();
    }

    /// Finds anew who decides.
    pub(super) fn recount(&mut self) {
        self.count = Count::new(&self.options.policy, self.options.stage, &self.followers);
        self.settle();
    }

    /// Draws every conclusion from what is known.
    pub(super) fn settle(&mut self) -> bool {
        let Some(first) = self.reigns.current() else {
            return false;
        };
        self.rearm();
        let moved = self.raise(first);
        if moved {
            self.backlog.pass(self.acknowledged);
            self.waiting.release(self.acknowledged, &self.degraded);
        }
        self.fail_if_short();
        moved
    }

    /// Ends a degraded time once those whom the policy asks for are there, have caught up, and have what was
    /// the last durable record when enough of them were there. Not the very last: while records keep coming a
    /// follower is always a round trip behind, and the policy would never hold again. What came in between was
    /// acknowledged as degraded and stays so.
    fn rearm(&mut self) {
        if self.mode == Mode::Armed {
            return;
        }
        let reached = match &self.count {
            None => Some(self.durable),
            Some(count) => count.told_by_the_live(&self.followers),
        };
        let Some(reached) = reached else {
            self.goal = None;
            return;
        };
        let goal = *self.goal.get_or_insert(self.durable);
        if reached >= goal {
            self.arm(goal);
        }
    }

    pub(super) fn arm(&mut self, through: Lsn) {
        if self.mode != Mode::Armed {
            (self.mode, self.goal) = (Mode::Armed, None);
            self.events.push(Event::Rearmed { through });
        }
    }

    /// Moves the marks to where they can be. Returns whether they moved.
    fn raise(&mut self, first: Lsn) -> bool {
        let before = (self.committed, self.acknowledged);
        let (committed, told) = match &self.count {
            Some(count) if self.mode == Mode::Armed => (count.committed(), count.told()),
            _ => (self.durable, self.durable),
        };
        let committed = committed.min(self.durable);
        if committed >= first {
            self.committed = self.committed.max(committed);
        }
        let told = told.min(self.committed);
        if told >= first && told > self.acknowledged {
            if self.mode != Mode::Armed {
                self.degraded.add(self.acknowledged, told);
            }
            self.acknowledged = told;
        }
        before != (self.committed, self.acknowledged)
    }
}
