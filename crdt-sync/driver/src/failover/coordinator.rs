//! The task that asks the coordinator.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

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

/// What is asked, and which answer belongs to it.
#[derive(Debug)]
pub(super) struct Question<I> {
    pub(super) id: I,
    pub(super) ask: Ask,
}

/// Asks one question after the other, until nobody asks any more.
///
/// After `patience` the engine has given up a question. It is left to the coordinator all the same, for a grant that
/// comes late is given back, until another question waits for its turn; then nobody knows what became of it.
pub(super) async fn ask_all<I>(
    coordinator: SharedCoordinator,
    patience: Duration,
    mut questions: Receiver<Question<I>>,
    answer: impl Fn(I, Answer),
) {
    let mut next = questions.recv().await;
    while let Some(Question { id, ask }) = next.take() {
        let mut asked = pin!(coordinator.ask(ask));
        let in_time = timeout(patience, &mut asked).await;
        let answered = if let Ok(answered) = in_time {
            Some(answered)
        } else {
            tokio::select! {
                answered = &mut asked => Some(answered),
                following = questions.recv() => {
                    next = following;
                    None
                }
            }
        };
        let is_over = answered.is_none() && next.is_none();
        let silent = || Answer::Unavailable { why: format!("no answer after {patience:?}") };
        answer(id, answered.unwrap_or_else(silent));
        if is_over {
            return;
        }
        if next.is_none() {
            next = questions.recv().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use crdt_sync::failover::Tenure;
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    /// Answers each question when it is let.
    struct Scripted(mpsc::UnboundedReceiver<oneshot::Receiver<Answer>>);

    impl Coordinator for Scripted {
        async fn ask(&mut self, _: Ask) -> Answer {
            self.0.recv().await.unwrap().await.unwrap()
        }

        async fn changed(&mut self, _: Option<Tenure>) -> Option<Tenure> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_question_that_hangs_gives_way_to_the_next_and_a_late_answer_is_told_late() {
        let (scripts, scripted) = mpsc::unbounded_channel();
        let (questions, asked) = mpsc::channel(8);
        let (says, mut said) = mpsc::unbounded_channel();
        let coordinator = SharedCoordinator::new(Scripted(scripted));
        let answer = move |id, answer| says.send((id, answer)).unwrap();
        let asking = tokio::spawn(ask_all(coordinator, SOON, asked, answer));
        let (_never, hangs) = oneshot::channel();
        let (later, late) = oneshot::channel();
        scripts.send(hangs).unwrap();
        scripts.send(late).unwrap();

        questions.send(Question { id: 0, ask: Ask::Look }).await.unwrap();
        questions.send(Question { id: 1, ask: Ask::Look }).await.unwrap();
        let (id, silent) = said.recv().await.unwrap();
        assert_eq!(id, 0);
        assert!(matches!(silent, Answer::Unavailable { .. }), "{silent:?}");

        tokio::time::sleep(SOON * 5).await;
        assert!(said.try_recv().is_err(), "nobody else wants to ask, so it is waited for");
        later.send(Answer::Held(None)).unwrap();
        assert_eq!(said.recv().await.unwrap(), (1, Answer::Held(None)));

        drop(questions);
        asking.await.unwrap();
    }
}
