//! Another engine goes on in the place of the one that was, in the same node: after a snapshot, or a cut of what was
//! shown.

use crdt_sync::wire::{self, Farewell, Message};
use crdt_sync::{Event, Input, NodeId};
use tracing::{error, info};

use super::EngineThread;
use crate::disk::Reopened;
use crate::error::{NodeError, OpenError};
use crate::options::NodeOptions;

/// What it takes to open the node's engine anew.
pub(crate) struct Reopening {
    options: NodeOptions,
    node: NodeId,
    /// Whether the node does not trust its past, until it is marked.
    is_doubtful: bool,
}

impl Reopening {
    pub(crate) fn new(options: NodeOptions, node: NodeId, is_doubtful: bool) -> Self {
        Self { options, node, is_doubtful }
    }
}

impl EngineThread {
    /// Opens another engine from what the directory holds now. Whoever waits for the one of before is told so. Peers
    /// connect anew: what they and the one of before were about to tell each other means nothing to this one.
    pub(super) fn reopen(&mut self) {
        // What happened to the one of before.
        self.deferred.clear();
        match self.open_anew() {
            Ok(Reopened { engine, reports, event }) => {
                info!(?event, "another engine goes on");
                (self.engine, self.reports, self.timer) = (engine, reports, None);
                self.helpers.start_over();
                if let Some(marker) = &self.marker {
                    marker.renew(self.engine.status().durable);
                }
                let farewell = wire::encode(&Message::Farewell(Farewell::Leaving));
                for outbound in std::mem::take(&mut self.links).into_values() {
                    outbound.send(farewell.clone());
                }
                for reply in std::mem::take(&mut self.replies).into_values() {
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(Err(NodeError::Reopened));
                }
                self.watchers.start_over(&mut self.engine);
                self.tell(Event::Log(event));
                self.drain();
            }
            Err(error) => {
                error!(%error, "the node cannot go on with what its directory holds now");
                self.deferred.push_back(Input::LogFailed);
            }
        }
    }

    fn open_anew(&mut self) -> Result<Reopened, OpenError> {
        let Reopening { options, node, is_doubtful } = &self.again;
        let config = options.clone().into_config(*node);
        let mut reopened = self.disk.reopen(options, &config, self.clock.now())?;
        if *is_doubtful && self.marker.is_none() {
            reopened.engine.distrust_past(self.clock.now());
        }
        Ok(reopened)
    }
}
