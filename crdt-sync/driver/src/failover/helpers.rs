//! Whoever does outside what the engine wants done for failover, and says what became of it.

use std::time::Duration;

use crdt_sync::failover::Answer;
use crdt_sync::failover::stonith::NotFenced;
use crdt_sync::failover::supervisor::AskId;
use crdt_sync::{FailoverNews, FailoverTask, NodeId};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tracing::warn;

use super::coordinator::{Question, ask_all};
use super::{SharedCoordinator, SharedHook};
use crate::options::NodeOptions;

/// So many questions wait for the coordinator; more are answered at once. The engine asks one after the other.
const WAITING: usize = 64;

/// Who asks the coordinator, and who stops old leaders. Dropping it ends both.
pub(crate) struct Helpers {
    /// The runtime that opened the node.
    runtime: Handle,
    asking: Option<(Sender<Question<Named>>, Task)>,
    hook: Option<SharedHook>,
    stopping: Option<Task>,
    /// How many engines there were before in this node.
    engine: u64,
    /// How often a node was to be stopped.
    shots: u64,
    says: UnboundedSender<Said>,
    said: UnboundedReceiver<Said>,
}

/// A question, and of which engine: another one begins to count anew.
#[derive(Debug)]
struct Named {
    engine: u64,
    id: AskId,
}

/// What a helper says, and to which question of which engine.
enum Said {
    Answer { engine: u64, id: AskId, answer: Answer },
    Stopped { shot: u64, ended: Result<(), NotFenced> },
}

/// A task that ends with this.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Helpers {
    /// To be called in the runtime that opens the node.
    pub(crate) fn start(options: &NodeOptions) -> Self {
        let (says, said) = mpsc::unbounded_channel();
        let runtime = Handle::current();
        let patience = options.failover_rules().map_or(Duration::ZERO, |rules| rules.ask_timeout);
        let ask = |coordinator: SharedCoordinator| {
            let (questions, asked) = mpsc::channel(WAITING);
            let says = says.clone();
            let answer = move |Named { engine, id }, answer| {
                // The node may be over.
                let _ = says.send(Said::Answer { engine, id, answer });
            };
            (questions, Task(runtime.spawn(ask_all(coordinator, patience, asked, answer))))
        };
        let asking = options.coordinator.clone().map(ask);
        Self {
            runtime,
            asking,
            hook: options.stonith.clone(),
            stopping: None,
            engine: 0,
            shots: 0,
            says,
            said,
        }
    }

    /// Has something done, of which [`news`](Self::news) tells.
    pub(crate) fn carry_out(&mut self, task: FailoverTask) {
        match task {
            FailoverTask::Ask { id, ask } => {
                let question = Question { id: Named { engine: self.engine, id }, ask };
                let is_asked =
                    self.asking.as_ref().is_some_and(|(asking, _)| asking.try_send(question).is_ok());
                if !is_asked {
                    let answer = Answer::Unavailable { why: "nobody takes questions".to_owned() };
                    self.say(Said::Answer { engine: self.engine, id, answer });
                }
            }
            FailoverTask::Stonith { node, timeout } => self.stop(node, timeout),
            other => warn!(?other, "a task this driver does not know"),
        }
    }

    /// Only the last one counts: what became of those before is nothing to the engine any more.
    fn stop(&mut self, node: NodeId, timeout: Duration) {
        self.shots += 1;
        let shot = self.shots;
        let Some(hook) = self.hook.clone() else {
            return self.say(Said::Stopped { shot, ended: Err(NotFenced::Failed) });
        };
        let says = self.says.clone();
        self.stopping = Some(Task(self.runtime.spawn(async move {
            let ended = hook.stop(node, timeout).await;
            // The node may be over.
            let _ = says.send(Said::Stopped { shot, ended });
        })));
    }

    fn say(&self, said: Said) {
        // It is received as long as this is there.
        let _ = self.says.send(said);
    }

    /// What became of something the engine wanted done, as soon as that is known.
    pub(crate) async fn news(&mut self) -> FailoverNews {
        loop {
            match self.said.recv().await {
                Some(Said::Answer { engine, id, answer }) if engine == self.engine => {
                    return FailoverNews::Answer { id, answer };
                }
                Some(Said::Stopped { shot, ended }) if shot == self.shots => {
                    return FailoverNews::Stonith(ended);
                }
                // Another engine asked, which numbers its questions as this one does. What was granted to it this one
                // finds out when it asks.
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Another engine goes on, which has asked for nothing yet.
    pub(crate) fn start_over(&mut self) {
        self.engine += 1;
        self.shots += 1;
        self.stopping = None;
    }
}

#[cfg(test)]
mod tests {
    use crdt_sync::ClusterKey;

    use super::*;
    use crate::failover::StonithHook;

    /// Confirms that the first node has stopped, and of no other.
    struct Confirms(NodeId);

    impl StonithHook for Confirms {
        async fn stop(&self, node: NodeId, _: Duration) -> Result<(), NotFenced> {
            if node == self.0 { Ok(()) } else { Err(NotFenced::Failed) }
        }
    }

    /// Or the next one would lead because somebody else was stopped before.
    #[tokio::test]
    async fn that_one_node_has_stopped_is_not_taken_for_another_one_or_by_another_engine() {
        let [first, second] = [1, 2].map(NodeId::from_u128);
        let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).stonith(Confirms(first));
        let mut helpers = Helpers::start(&options);
        let stop = |node| FailoverTask::Stonith { node, timeout: Duration::from_secs(60) };
        for is_reopened in [false, true] {
            helpers.carry_out(stop(first));
            while helpers.said.is_empty() {
                tokio::task::yield_now().await;
            }
            if is_reopened {
                helpers.start_over();
            }
            helpers.carry_out(stop(second));
            assert_eq!(helpers.news().await, FailoverNews::Stonith(Err(NotFenced::Failed)));
        }
        helpers.carry_out(stop(first));
        assert_eq!(helpers.news().await, FailoverNews::Stonith(Ok(())));
    }
}
