//! One node per process: load offline, then meet the peers and stay until told to end.
//!
//! Every change of what this node holds is a line of its own, so that three terminals side by side can be watched while
//! they come to agree.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crdt_sync::{NodeId, Status};

use crate::bound::Answer;
use crate::cli::Args;
use crate::contents::Contents;
use crate::dump::dump;
use crate::error::Failure;
use crate::inputs;
use crate::load;
use crate::replica::{Home, Replica, keys_of, root_of};
use crate::report::{Row, Summary, Times};
use crate::sync::QUIET;
use crate::watch::{Watch, trouble};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Returns whether as many peers as were asked for hold the same as this node.
pub(crate) async fn run(args: &Args) -> Result<bool, Failure> {
    let input = args.load.as_deref().map(inputs::read).transpose()?;
    let name = input.as_ref().map_or("node", |input| input.name.as_str());
    let home = Home::new(args.data_dir.as_deref())?;
    let started = Instant::now();
    let replica = Replica::open(name, &home, args.resolve).await?;
    let say = Voice { name: replica.name.clone(), as_json: args.json };

    let mut row = Row { name: name.to_owned(), ..Row::default() };
    if let Some(input) = &input {
        let tell =
            |loaded: load::Loaded| say.line(&format!("{} of {} packages loaded", loaded.durable, loaded.of));
        row.loaded = load::load(&replica.packages, &input.entries, tell).await?;
        row.input = input.bytes;
    }
    row.full_copy = replica.node.encoded_size().await?;
    row.keys = keys_of(&replica.node.status().await?);
    let loading = started.elapsed();

    let met = Instant::now();
    let watch = watch(&replica, &say);
    meet(&replica, args, &say).await?;
    let agreed = follow(&replica, args, &say).await?;
    let syncing = met.elapsed();

    let contents = Contents::of(&replica.packages).await?;
    if let Some(directory) = &args.dump {
        dump(directory, &replica.name, &contents)?;
    }
    let root = replica.root().await?;
    let sessions: Vec<_> = watch.finish().await.into_iter().map(|(_, report)| report).collect();
    // How much the peers hold is not known here, so that only what this node was told can be counted.
    let told = sessions.iter().map(|report| Answer { keys: row.keys, sent: report.states_sent });
    let least_bits = told.map(Answer::least_bits).sum();
    row.traffic = replica.close().await;
    let summary = Summary {
        resolve: args.resolve,
        converged: agreed.len() >= args.exit_when_synced.unwrap_or(args.peers.len()),
        replicas: 1 + agreed.len(),
        rows: vec![row],
        contents: &contents,
        root,
        sessions,
        least_bits,
        times: Times { loading, syncing, total: started.elapsed() },
        edits: None,
    };
    summary.print(args.json);
    Ok(summary.converged)
}

/// Says what happens, line by line: on standard output, unless that is for JSON alone.
#[derive(Clone)]
struct Voice {
    name: String,
    as_json: bool,
}

impl Voice {
    fn line(&self, line: &str) {
        if self.as_json {
            eprintln!("{}: {line}", self.name);
        } else {
            println!("{}: {line}", self.name);
        }
    }
}

fn watch(replica: &Replica, say: &Voice) -> Watch {
    let say = say.clone();
    Watch::start(&replica.node, move |event| {
        if let Some(trouble) = trouble(event) {
            say.line(&trouble);
        }
    })
}

async fn meet(replica: &Replica, args: &Args, say: &Voice) -> Result<(), Failure> {
    if let Some(address) = args.listen {
        let address = replica.node.listen(address).await.map_err(Failure::Listen)?;
        say.line(&format!("listening at {address}"));
    }
    for peer in &args.peers {
        replica.node.connect(*peer)?;
    }
    Ok(())
}

/// Says every change until Ctrl-C, or until enough peers agree or time is over. Returns the peers that agree.
async fn follow(replica: &Replica, args: &Args, say: &Voice) -> Result<BTreeSet<NodeId>, Failure> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut standing = Standing::new(replica).await?;
    let give_up = Instant::now() + args.deadline();
    say.line(&standing.line());
    loop {
        tokio::select! {
            pressed = &mut interrupted => return pressed.map(|()| standing.agreed).map_err(Failure::Signal),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if standing.update(replica).await? {
            say.line(&standing.line());
        }
        let Some(peers) = args.exit_when_synced else { continue };
        if standing.agreed.len() >= peers && standing.is_quiet() || Instant::now() > give_up {
            return Ok(standing.agreed);
        }
    }
}

/// Where the node stands and since when.
struct Standing {
    status: Status,
    /// Peers that hold the same as this node. One that left after it said so still counts, until something changes.
    agreed: BTreeSet<NodeId>,
    frames: u64,
    quiet_since: Instant,
}

impl Standing {
    async fn new(replica: &Replica) -> Result<Self, Failure> {
        let status = replica.node.status().await?;
        Ok(Self { status, agreed: BTreeSet::new(), frames: 0, quiet_since: Instant::now() })
    }

    /// Looks again; true when there is something new to say.
    async fn update(&mut self, replica: &Replica) -> Result<bool, Failure> {
        let status = replica.node.status().await?;
        let traffic = replica.node.traffic();
        let frames = traffic.frames_sent + traffic.frames_received;
        if frames != self.frames {
            (self.frames, self.quiet_since) = (frames, Instant::now());
        }
        let before = (self.agreed.len(), self.status.peers.len());
        let has_changed = status.partitions != self.status.partitions;
        if has_changed {
            self.agreed.clear();
        }
        let in_sync = status.peers.iter().filter(|peer| peer.in_sync).map(|peer| peer.node);
        self.agreed.extend(in_sync);
        self.status = status;
        Ok(has_changed || before != (self.agreed.len(), self.status.peers.len()))
    }

    /// Whether nobody has had anything to say for a while: peers that do not know yet that all agree would ask.
    fn is_quiet(&self) -> bool {
        self.status.sessions == 0 && self.quiet_since.elapsed() >= QUIET
    }

    fn line(&self) -> String {
        let keys = keys_of(&self.status);
        let root = root_of(&self.status).digest;
        let (peers, agreed) = (self.status.peers.len(), self.agreed.len());
        format!("{keys} packages, root {root:032x}, {peers} peers, in sync with {agreed}")
    }
}
