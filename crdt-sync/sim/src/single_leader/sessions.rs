//! Clients that go from node to node, and what their sessions depend on.

use crdt_sync::{Bytes, ItemKey, Reply, Request, RequestId, SessionToken};
use replication_log::{Epoch, Lsn};

use super::{Due, Simulation};
use crate::violation::Violation;
use crate::world::{CLUSTER, LogPlace};

/// A client that goes from node to node.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanderer {
    pub(super) token: Vec<u8>,
    /// The last record that it wrote or was shown.
    pub(super) depends: LogPlace,
    pub(super) waits: Option<(usize, RequestId)>,
}

impl Simulation<'_> {
    pub(super) fn session_read(
        &mut self,
        node: usize,
        client: usize,
        item: ItemKey,
        request: Request,
    ) -> Result<(), Violation> {
        let Some(request) = self.within_session(Some(client), request) else { return Ok(()) };
        let Some(id) = self.course.world.request(node, request)? else { return Ok(()) };
        self.await_reply(Some(client), (node, id), Due::SessionRead { client, item });
        Ok(())
    }

    /// The request with the client's token; nothing while the client waits for something else.
    pub(super) fn within_session(&self, client: Option<usize>, request: Request) -> Option<Request> {
        let Some(client) = client else { return Some(request) };
        let Wanderer { token, waits, .. } = &self.wanderers[client];
        let token = Bytes::from(token.clone());
        waits.is_none().then(|| Request::InSession { token, request: request.into() })
    }

    pub(super) fn depend(&mut self, client: Option<usize>, place: LogPlace) {
        if let Some(client) = client {
            let wanderer = &mut self.wanderers[client];
            wanderer.depends = wanderer.depends.max(place);
        }
    }

    /// Whether the log of a node is without what a session depends on.
    pub(super) fn is_lost(&self, client: usize, node: usize) -> bool {
        let (depends, world) = (self.wanderers[client].depends, &self.course.world);
        !world.histories().leads_to(depends, world.end_of(node))
    }

    pub(super) fn session_read_answered(
        &mut self,
        (node, request): (usize, RequestId),
        client: usize,
        item: &ItemKey,
        token: Option<&Bytes>,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let stale = |detail: String| Err(Violation::StaleRead { node, request, detail });
        let wanderer = &self.wanderers[client];
        let Some(token) = token else {
            if matches!(reply, Reply::Lost { .. }) && !self.is_lost(client, node) {
                return stale(format!("{:?} is said to be lost", wanderer.depends));
            }
            if matches!(reply, Reply::Lost { .. }) {
                self.wanderers[client] = Wanderer::default();
            }
            self.course.report.behind += 1;
            let may_be = matches!(
                reply,
                Reply::Lost { .. } | Reply::NotYetVisible { .. } | Reply::Overloaded | Reply::Ended
            );
            return if may_be { Ok(()) } else { stale(format!("that is no answer: {reply:?}")) };
        };
        let limits = &self.course.plan.setup.limits;
        let place = match SessionToken::decode(token, &CLUSTER, limits) {
            Ok(SessionToken::SingleLeader { epoch, lsn }) => {
                LogPlace { epoch: Epoch::new(epoch), lsn: Lsn::new(lsn) }
            }
            Ok(SessionToken::Causal(causal)) if causal.is_empty() => LogPlace::ORIGIN,
            other => return stale(format!("the token is {other:?}")),
        };
        if !self.course.world.histories().leads_to(wanderer.depends, place) {
            return stale(format!("it shows {place:?}, and the session depends on {:?}", wanderer.depends));
        }
        self.course.report.session_reads += 1;
        self.depend(Some(client), place);
        let value = self.model.at(item, place, self.course.world.histories());
        self.check_read((node, request), reply, item, place, &value)
    }
}
