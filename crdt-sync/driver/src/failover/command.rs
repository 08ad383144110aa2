//! A hook that runs somebody's command.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::stonith::NotFenced;
use tokio::process::{Child, Command};
use tracing::{info, warn};

use super::StonithHook;

/// How long the command has, in milliseconds.
const TIMEOUT: &str = "CRDT_SYNC_STONITH_TIMEOUT_MS";

/// Stops an old leader by running a command: exit code 0 confirms that it has stopped, anything else that it may go on.
///
/// The program is run without a shell, with the arguments given here and after them the node's id, as [`NodeId`] is
/// displayed: 32 hexadecimal digits. It has this process's environment and directory, and besides
/// `CRDT_SYNC_STONITH_TIMEOUT_MS`, how long it is waited for. It reads nothing; what it writes to its standard output
/// is dropped, and its standard error is this process's.
///
/// A command that takes longer is killed, as it is when the node that runs it ends; on Unix together with all it has
/// started, unless that left its process group. So that nothing is stopped late, have it start nothing that outlives
/// it.
///
/// ```
/// use crdt_sync_driver::StonithCommand;
///
/// // Runs `/usr/local/sbin/power-off --rack 7 <node>`.
/// let hook = StonithCommand::new("/usr/local/sbin/power-off").arg("--rack").arg("7");
/// ```
#[derive(Clone, Debug)]
pub struct StonithCommand {
    program: OsString,
    arguments: Vec<OsString>,
}

impl StonithCommand {
    /// Runs this program: an absolute path, or a name that is looked for in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), arguments: Vec::new() }
    }

    /// The same with one more argument before the node's id.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    fn start(&self, node: NodeId, timeout: Duration) -> std::io::Result<Running> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(node.to_string());
        command.env(TIMEOUT, timeout.as_millis().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        Ok(Running { child: command.spawn()? })
    }
}

impl StonithHook for StonithCommand {
    async fn stop(&self, node: NodeId, timeout: Duration) -> Result<(), NotFenced> {
        let ended = match self.start(node, timeout) {
            Ok(mut running) => tokio::time::timeout(timeout, running.end()).await,
            Err(error) => Ok(Err(error)),
        };
        let program = self.program.display();
        match ended {
            Ok(Ok(status)) if status.success() => {
                info!(%node, %program, "the old leader has stopped");
                Ok(())
            }
            Ok(Ok(status)) => {
                warn!(%node, %program, %status, "the command did not confirm that the old leader stopped");
                Err(NotFenced::Failed)
            }
            Ok(Err(error)) => {
                warn!(%node, %program, %error, "the command that stops old leaders cannot be run");
                Err(NotFenced::Failed)
            }
            Err(_) => {
                warn!(%node, %program, ?timeout, "the command that stops old leaders was killed");
                Err(NotFenced::TimedOut)
            }
        }
    }
}

/// A command that is killed with all it has started unless it ends first.
struct Running {
    child: Child,
}

impl Running {
    async fn end(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // There is no id any more once it has ended, so no stranger is killed.
        #[cfg(unix)]
        if let Some(group) = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            // It may end at this moment.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
