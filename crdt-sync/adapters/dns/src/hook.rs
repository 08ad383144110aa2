//! Telling a name server of somebody else's, or anything that keeps names, who leads.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use crdt_sync::failover::{Directory, Follow, Leader};
use tokio::process::Command;

const DEADLINE: Duration = Duration::from_secs(30);

/// Publishes who leads somewhere. It may be told the same twice, and must be able to replace what it said before.
pub trait Publish: Send {
    /// Says that this node leads, or that nobody does.
    fn publish(&mut self, leader: Option<&Leader>) -> impl Future<Output = Result<(), PublishError>> + Send;
}

/// Who leads could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The command could not be run.
    #[error("the command cannot be run: {0}")]
    NotRun(#[from] io::Error),
    /// It says that it failed.
    #[error("the command failed: {0}")]
    Failed(std::process::ExitStatus),
    /// It took too long and was killed.
    #[error("the command did not end within {0:?}")]
    TooLate(Duration),
}

/// Runs a command of the user's, as a script around `nsupdate`. It finds `LEADER_ADDRESS` and `LEADER_GRANT` in its
/// environment, empty where nobody leads; what it writes to its standard error goes to that of this process.
#[derive(Clone, Debug)]
pub struct Hook {
    program: OsString,
    arguments: Vec<OsString>,
    deadline: Duration,
}

impl Hook {
    /// Runs this program, with no shell in between.
    pub fn new<A: Into<OsString>>(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, deadline: DEADLINE }
    }

    /// How long it may take before it is killed: half a minute unless said otherwise.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl Publish for Hook {
    async fn publish(&mut self, leader: Option<&Leader>) -> Result<(), PublishError> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env("LEADER_ADDRESS", leader.map_or("", |leader| leader.address.as_str()))
            .env("LEADER_GRANT", leader.map_or_else(String::new, |leader| leader.grant.number().to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let ended = tokio::time::timeout(self.deadline, child.wait()).await;
        let status = ended.map_err(|_| PublishError::TooLate(self.deadline))??;
        if status.success() { Ok(()) } else { Err(PublishError::Failed(status)) }
    }
}

/// Publishes every new leader for as long as it is polled, never an earlier one after a later one. What fails is told
/// to `failed` and tried again after `pause`, with whoever leads then.
pub async fn keep_published<D: Directory, P: Publish>(
    mut leaders: Follow<D>,
    mut publish: P,
    pause: Duration,
    mut failed: impl FnMut(PublishError),
) -> Infallible {
    leaders.next().await;
    loop {
        let outcome = publish.publish(leaders.leader()).await;
        let again = outcome.is_err();
        outcome.unwrap_or_else(&mut failed);
        tokio::select! {
            _ = leaders.next() => {}
            () = tokio::time::sleep(pause), if again => {}
        }
    }
}
