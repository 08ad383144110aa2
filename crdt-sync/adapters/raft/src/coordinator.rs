//! Asking the members, wherever their leader is.

use std::time::Duration;

use crdt_sync::failover::{Answer, Ask, Coordinator, Grant, Tenure};
use tokio::time::Instant;
use uuid::Uuid;

use crate::member::Member;
use crate::register::{Decision, Holder, Question};
use crate::transport::{Asked, Request, Transport, exchange};

const DEADLINE: Duration = Duration::from_secs(3);
/// While the members elect a leader, or their leader has gone.
const PAUSE: Duration = Duration::from_millis(50);
/// How often to look whether somebody else leads. Each look is an entry of the log, by which leases end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A [`Coordinator`] that asks the members of a Raft, from one of them.
#[derive(Clone)]
pub struct RaftCoordinator<T> {
    member: Member<T>,
    deadline: Duration,
}

impl<T: Transport> RaftCoordinator<T> {
    pub(crate) const fn new(member: Member<T>) -> Self {
        Self { member, deadline: DEADLINE }
    }

    /// How long an answer may take: three seconds unless said otherwise.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Puts a question until it is decided. It may be put twice, which changes nothing.
    async fn put(&self, question: Question) -> Result<Decision, String> {
        let until = Instant::now() + self.deadline;
        let mut to = self.member.id();
        let mut why = "the members have no leader".to_owned();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(why);
            }
            let asked = if to == self.member.id() {
                tokio::time::timeout(left, self.member.decide(question.clone()))
                    .await
                    .unwrap_or_else(|_| Asked::Failed("no majority answers".into()))
            } else {
                // The one that leads may be gone, and then another one is elected meanwhile.
                let request = Request::Ask(question.clone());
                exchange(self.member.transport(), to, &request, left.min(self.deadline / 3))
                    .await
                    .unwrap_or_else(|failed| Asked::Failed(failed.to_string()))
            };
            match asked {
                Asked::Decided(decision) => return Ok(decision),
                Asked::NotHere(Some(leader)) if leader != to => to = leader,
                Asked::NotHere(_) => {
                    to = self.member.id();
                    tokio::time::sleep(PAUSE.min(left)).await;
                }
                Asked::Failed(failed) => {
                    why = failed;
                    to = self.member.id();
                    tokio::time::sleep(PAUSE.min(left)).await;
                }
            }
        }
    }
}

impl<T: Transport> Coordinator for RaftCoordinator<T> {
    async fn ask(&mut self, ask: Ask) -> Answer {
        let question = match ask {
            Ask::Acquire { candidate, lease, above } => Question::Acquire {
                ask: Uuid::new_v4().as_u64_pair().0,
                node: candidate,
                lease: milliseconds(lease),
                above: above.map_or(0, Grant::number),
            },
            Ask::Renew { tenure, lease } => {
                Question::Renew { holder: holder_of(tenure), lease: milliseconds(lease) }
            }
            Ask::Release { tenure, to } => Question::Release { holder: holder_of(tenure), to },
            Ask::Look => Question::Look,
            _ => return Answer::Unavailable { why: "this coordinator is older than the question".into() },
        };
        self.put(question).await.and_then(answer_of).unwrap_or_else(|why| Answer::Unavailable { why })
    }

    async fn changed(&mut self, known: Option<Tenure>) -> Option<Tenure> {
        loop {
            match self.ask(Ask::Look).await {
                Answer::Held(tenure) if tenure != known => return tenure,
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

/// Rounded up, so that no lease is shorter than its holder thinks.
fn milliseconds(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).map_or(u64::MAX, |whole| whole.saturating_add(1))
}

const fn holder_of(tenure: Tenure) -> Holder {
    Holder { node: tenure.holder, grant: tenure.grant.number() }
}

fn answer_of(decision: Decision) -> Result<Answer, String> {
    let grant = |number| Grant::new(number).ok_or_else(|| "every grant was given already".to_owned());
    Ok(match decision {
        Decision::Granted(number) => Answer::Granted(grant(number)?),
        Decision::Renewed(number) => Answer::Renewed(grant(number)?),
        Decision::Released => Answer::Released,
        Decision::Held(None) => Answer::Held(None),
        Decision::Held(Some(held)) => {
            Answer::Held(Some(Tenure { holder: held.node, grant: grant(held.grant)? }))
        }
        Decision::Late | Decision::Nothing => return Err("nothing was decided".into()),
    })
}
