//! The task that asks the coordinator.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use crdt_sync::failover::supervisor::AskId;
use crdt_sync::failover::{Answer, Ask, Coordinator};
use tokio::sync::Mutex;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// A coordinator, shared by all that is opened with the same options.
#[derive(Clone)]
pub(crate) struct SharedCoordinator(Arc<Mutex<Box<dyn Asked>>>);

/// A [`Coordinator`] behind a pointer.
trait Asked: Send {
    fn ask(&mut self, ask: Ask) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>>;
}

impl<C: Coordinator> Asked for C {
    fn ask(&mut self, ask: Ask) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(Coordinator::ask(self, ask))
    }
}

impl SharedCoordinator {
    pub(crate) fn new(coordinator: impl Coordinator + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(coordinator))))
    }

    async fn ask(&self, ask: Ask) -> Answer {
        self.0.lock().await.ask(ask).await
    }
}

impl fmt::Debug for SharedCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedCoordinator")
    }
}

/// What an engine asks, and which one of this node's: another one begins to count anew.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) engine: u64,
    pub(super) id: AskId,
    pub(super) ask: Ask,
}

/// Asks one question after the other, until nobody asks any more.
///
/// After `patience` the engine has given up a question. It is left to the coordinator all the same, for a grant that
/// comes late is given back, until another question waits for its turn; then nobody knows what became of it.
pub(super) async fn ask_all(
    coordinator: SharedCoordinator,
    patience: Duration,
    mut questions: Receiver<Question>,
    answer: impl Fn(u64, AskId, Answer),
) {
    let mut next = questions.recv().await;
    while let Some(Question { engine, id, ask }) = next.take() {
        let mut asked = pin!(coordinator.ask(ask));
        let in_time = timeout(patience, &mut asked).await;
        let answered = match in_time {
            Ok(answered) => Some(answered),
            Err(_) => tokio::select! {
                answered = &mut asked => Some(answered),
                following = questions.recv() => {
                    next = following;
                    None
                }
            },
        };
        let is_over = answered.is_none() && next.is_none();
        let silent = || Answer::Unavailable { why: format!("no answer after {patience:?}") };
        answer(engine, id, answered.unwrap_or_else(silent));
        if is_over {
            return;
        }
        if next.is_none() {
            next = questions.recv().await;
        }
    }
}
