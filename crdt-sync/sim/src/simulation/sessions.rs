//! Clients that go from node to node, with a token of their session in hand.

use std::collections::BTreeSet;

use core::time::Duration;
use crdt_sync::{Bytes, ItemKey, Reply, Request, RequestId, Write};

use super::{Due, Promised, Simulation};
use crate::clients::Client;
use crate::course::Run;
use crate::model::{Command, head_of_partitions};
use crate::violation::Violation;
use crate::workload::Errand;

/// How many such clients there are.
pub(crate) const WANDERERS: usize = 3;
/// What their numbers begin with; those below are of clients that sit at a node.
const FIRST: usize = 1 << 16;
/// How long a read waits for what its session depends on.
const PATIENCE: Duration = Duration::from_millis(250);
/// After how many vain reads a client begins a new session: nobody may have any more what the old one depends on.
const ENOUGH: u32 = 4;

/// A client that wanders.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanderer {
    token: Bytes,
    /// What it wrote in this session, as far as it was told that it is durable.
    wrote: BTreeSet<RequestId>,
    /// What it waits for.
    asked: Option<(usize, RequestId)>,
    in_vain: u32,
}

impl Simulation<'_> {
    /// A client that wanders reads or writes at a node, unless it waits for an answer.
    pub(super) fn wander(&mut self, client: usize, node: usize, errand: Errand) -> Result<(), Violation> {
        let wanderer = &self.wanderers[client];
        if wanderer.asked.is_some_and(|asked| self.due.contains_key(&asked)) {
            return Ok(());
        }
        match errand {
            Errand::Write(_) if self.course.world.is_rejoining(node) => Ok(()),
            Errand::Write(writes) => self.write(node, &writes, Some(client)).map(drop),
            Errand::Read(item) => self.read_in_session(client, node, item),
        }
    }

    fn read_in_session(&mut self, client: usize, node: usize, item: ItemKey) -> Result<(), Violation> {
        let Some(now) = self.course.world.now(node) else { return Ok(()) };
        let request = Box::new(Request::Read { item: item.clone(), deadline: now.instant + PATIENCE });
        let token = self.wanderers[client].token.clone();
        let begun = self.registers.tick();
        let Some(id) = self.course.world.request(node, Request::InSession { token, request })? else {
            return Ok(());
        };
        let shows = self.wanderers[client].wrote.clone();
        let reader = FIRST + client;
        let sight = self.clients.sight(reader, &item);
        let excepted = self.excepted(reader, node, &item);
        let promised = Promised { reader, shows, sight, excepted };
        self.due.insert((node, id), Due::Read { item, begun, promised });
        self.wanderers[client].asked = Some((node, id));
        self.notice()
    }

    /// The commands at a key for whose entries a node takes others: a token names an identity and how many of its
    /// entries it rests on, and as long as the node does not know that the identity was forked, it counts those of the
    /// other history. It is the client's loss if it comes with a token; who sits at the node is told nothing else.
    pub(super) fn excepted(&self, reader: Client, node: usize, item: &ItemKey) -> BTreeSet<RequestId> {
        let Some(engine) = self.course.world.engine(node).filter(|_| reader >= FIRST) else {
            return BTreeSet::new();
        };
        let (status, lineage) = (engine.status(), self.course.world.lineage());
        let known = lineage.known(&status.partitions);
        let is_mistaken = |command: &Command| {
            command.entries().any(|place| {
                let partition = lineage.partition_of(place);
                let counted = head_of_partitions(&status.partitions, partition, command.origin);
                lineage.is_parted(place) && counted >= place.sequence && !known.holds(place)
            })
        };
        let there = self.model.facts_of(item).map(|(command, _)| command);
        there.filter(|command| is_mistaken(command)).map(|command| command.request).collect()
    }

    /// Takes the token from an answer in a session, and returns what is in it.
    pub(super) fn take_token(
        &mut self,
        node: usize,
        request: RequestId,
        reply: Reply,
    ) -> Result<Reply, Violation> {
        let Reply::InSession { token, reply } = reply else { return Ok(reply) };
        let not_due = Violation::AnswerNotDue { node, request };
        let asked = |wanderer: &Wanderer| wanderer.asked == Some((node, request));
        let client = self.wanderers.iter().position(asked).ok_or(not_due)?;
        let wanderer = &mut self.wanderers[client];
        wanderer.token = token;
        match &*reply {
            Reply::Written(_) => drop(wanderer.wrote.insert(request)),
            Reply::Behind { .. } => {
                self.course.report.behind += 1;
                wanderer.in_vain += 1;
                if wanderer.in_vain >= ENOUGH {
                    *wanderer = Wanderer::default();
                    self.clients.forget(FIRST + client);
                }
            }
            Reply::Value(_) => {
                self.course.report.session_reads += 1;
                wanderer.in_vain = 0;
            }
            _ => {}
        }
        Ok(*reply)
    }

    /// A command, in the session of a client or in none.
    pub(super) fn command_for(&self, client: Option<usize>, writes: &[Write]) -> Request {
        let command = Request::Write(writes.to_vec());
        let in_session = |client: usize| self.wanderers[client].token.clone();
        match client.map(in_session) {
            Some(token) => Request::InSession { token, request: Box::new(command) },
            None => command,
        }
    }

    /// A client waits for the answer to a command.
    pub(super) fn awaits(&mut self, client: Option<usize>, node: usize, request: RequestId) {
        if let Some(client) = client {
            self.wanderers[client].asked = Some((node, request));
        }
    }
}
