//! What an operator does where nodes take over by themselves, and what clients may rely on.

use crdt_sync::{Reply, RequestId};
use replication_log::ship::Stage;
use replication_log::ship::policy::Need;

use super::{Due, Simulation};
use crate::dice::Dice;
use crate::violation::Violation;

impl Simulation<'_> {
    /// The operator begins to change leaders, in the way of this world. Returns whether there was anything to do.
    pub(super) fn change_leaders(&mut self, dice: &mut Dice) -> Result<bool, Violation> {
        let world = &mut self.course.world;
        if self.course.plan.setup.failover.is_none() {
            return Ok(world.begin_succession(dice));
        }
        let asked = world.operate(dice)?;
        self.due.extend(asked.map(|asked| (asked, Due::Operated)));
        Ok(asked.is_some())
    }

    pub(super) fn check_led_in_time(&mut self) -> Result<(), Violation> {
        let hostility = self.course.plan.setup.hostility.as_ref();
        let aftermath = hostility.map(|hostility| *hostility.lasting.end()).unwrap_or_default();
        self.course.world.check_led_in_time(aftermath)
    }

    /// Whether a failover may take back what a client was told to be committed. Where nodes see to it themselves, only
    /// what nobody but the leader's disk, or nobody's disk, vouched for.
    pub(super) fn may_lose(&self, degraded: bool) -> bool {
        let setup = &self.course.plan.setup;
        if setup.failover.is_none() {
            return setup.may_lose_commits();
        }
        degraded || setup.commits.policy.need() == Need::Nobody || setup.commits.stage < Stage::Flushed
    }
}

/// Whoever operates is told at once; what becomes of it events say.
pub(super) fn operated((node, request): (usize, RequestId), reply: &Reply) -> Result<(), Violation> {
    match reply {
        Reply::FailoverTold | Reply::Overloaded | Reply::Ended => Ok(()),
        other => Err(Violation::FalseAnswer { node, request, detail: format!("{other:?}") }),
    }
}
