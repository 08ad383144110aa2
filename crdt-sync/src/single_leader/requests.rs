//! What clients ask of a node in a cluster with one leader.

use replication_log::{Epoch, Lsn};

use super::handover::Handover;
use super::leading::in_session;
use super::reigning::Asker;
use super::{CommitReply, LeadReply, SingleLeader, sessions};
use crate::engine::{Context, Reply, Request, RequestId};
use crate::replica::Write;
use crate::session::{SessionToken, TokenError};
use crate::time::Instant;

impl SingleLeader {
    /// Answers what only this topology can, and returns the rest: reads of whatever this node shows.
    pub(super) fn on_request(
        &mut self,
        id: RequestId,
        request: Request,
        context: &mut Context<'_>,
    ) -> Option<Request> {
        let waiting = self.reads.len() + self.leading.as_ref().map_or(0, super::Leading::waiting);
        if waiting >= context.replica.config.limits.max_waiting {
            context.outbox.reply(id, Reply::Overloaded, Lsn::ZERO);
            return None;
        }
        match request {
            Request::Write(writes) => self.write(id, &writes, None, None, context),
            Request::Commit { writes, deadline } => self.write(id, &writes, Some(deadline), None, context),
            Request::Failover(command) => self.operate(id, command, context),
            Request::Lead { .. } | Request::Extend { .. } | Request::HandOver { .. }
                if self.supervised.is_some() =>
            {
                context.outbox.reply(id, Reply::Lead(LeadReply::Supervised), Lsn::ZERO);
            }
            Request::Lead { grant, until } => self.ascend(Asker::Client(id), (grant, until), context),
            Request::Extend { grant, until } => self.extend(id, grant, until, context),
            Request::HandOver { to, deadline } => {
                self.hand_over(Asker::Client(id), (to, deadline), context);
            }
            Request::Fate { epoch, lsn } => {
                let reply = match &self.leading {
                    Some(leading) => Reply::Fate(leading.fate(epoch, lsn)),
                    None => Reply::Commit(self.not_leader()),
                };
                context.outbox.reply(id, reply, Lsn::ZERO);
            }
            Request::InSession { token, request } => match sessions::open(&token, context.replica) {
                Ok(token) => self.in_session(id, token, *request, context),
                Err(error) => context.outbox.reply(id, Reply::TokenRefused(error), Lsn::ZERO),
            },
            Request::Retire { .. } => context.outbox.reply(id, Reply::OtherTopology, Lsn::ZERO),
            other => return Some(other),
        }
        None
    }

    fn in_session(
        &mut self,
        id: RequestId,
        token: SessionToken,
        request: Request,
        context: &mut Context<'_>,
    ) {
        match request {
            Request::Write(writes) => self.write(id, &writes, None, Some(token), context),
            Request::Commit { writes, deadline } => {
                self.write(id, &writes, Some(deadline), Some(token), context);
            }
            Request::Read { .. } | Request::Show { .. } | Request::Scan { .. } => {
                self.reads.read(id, token, request, context);
            }
            _ => context.outbox.reply(id, Reply::TokenRefused(TokenError::Nested), Lsn::ZERO),
        }
    }

    fn write(
        &mut self,
        id: RequestId,
        writes: &[Write],
        deadline: Option<Instant>,
        session: Option<SessionToken>,
        context: &mut Context<'_>,
    ) {
        let limit = self.config.max_uncommitted;
        if let Some(Handover { to, .. }) = self.handover {
            let reply = in_session(Reply::Commit(CommitReply::HandingOver { to }), session.as_ref(), context);
            return context.outbox.reply(id, reply, Lsn::ZERO);
        }
        if let Some(leading) = self.leading.as_mut().filter(|_| !self.stuck) {
            // Once it has written something later, a session does not ask for what came before any more.
            if let Some((epoch, lsn)) = session.as_ref().map(sessions::place)
                && !context.replica.may_have(epoch, lsn)
            {
                return context.outbox.reply(id, Reply::Lost { epoch, lsn }, Lsn::ZERO);
            }
            return leading.write(id, writes, deadline, session, limit, context);
        }
        let reply = in_session(Reply::Commit(self.not_leader()), session.as_ref(), context);
        context.outbox.reply(id, reply, Lsn::ZERO);
    }

    fn not_leader(&self) -> CommitReply {
        let (epoch, leader) = self.known.unzip();
        let leader = leader.filter(|leader| *leader != self.me);
        CommitReply::NotLeader { leader, epoch: epoch.unwrap_or(Epoch::ZERO) }
    }
}
