//! The whole job in one process: load offline, connect, agree, edit, agree again.

use std::time::{Duration, Instant};

use crdt_sync::SessionReport;

use crate::bound::Answer;
use crate::cli::{Args, Edit};
use crate::contents::Contents;
use crate::dump::dump;
use crate::error::Failure;
use crate::inputs::{self, Input};
use crate::load;
use crate::progress::{Bars, show_load};
use crate::replica::{Home, Replica, keys_of};
use crate::report::{Edits, Row, Summary, Times};
use crate::sync;
use crate::watch::{Watch, trouble};

/// Returns whether all replicas agreed in time.
pub(crate) async fn run(args: &Args) -> Result<bool, Failure> {
    let inputs = inputs::gather(args)?;
    let edits = place(&args.edits, &inputs)?;
    let home = Home::new(args.data_dir.as_deref())?;
    let bars = Bars::new();
    let started = Instant::now();

    let replicas = open_all(&inputs, &home, args).await?;
    let mut rows = load_all(&replicas, inputs, &bars).await?;
    let loading = started.elapsed();
    let synced = sync_all(&replicas, &rows, &edits, &bars, args.deadline()).await?;

    let contents = read_all(&replicas).await?;
    if let Some(directory) = &args.dump {
        for (replica, contents) in replicas.iter().zip(&contents) {
            dump(directory, &replica.name, contents)?;
        }
    }
    let root = replicas[0].root().await?;
    for (replica, row) in replicas.into_iter().zip(&mut rows) {
        row.traffic = replica.close().await;
    }
    let summary = Summary {
        resolve: args.resolve,
        converged: synced.converged && contents.iter().all(|one| *one == contents[0]),
        replicas: rows.len(),
        rows,
        contents: &contents[0],
        root,
        sessions: synced.sessions,
        least_bits: synced.least_bits,
        times: Times { loading, syncing: synced.syncing, total: started.elapsed() },
        edits: synced.edits,
    };
    summary.print(args.json);
    Ok(summary.converged)
}

/// Which replica each edit is for; the first, where none is named.
fn place(edits: &[Edit], inputs: &[Input]) -> Result<Vec<(usize, Edit)>, Failure> {
    let index_of = |name: &String| {
        let known = || inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ");
        let index = inputs.iter().position(|input| input.name == *name);
        index.ok_or_else(|| Failure::NoSuchReplica { name: name.clone(), known: known() })
    };
    edits.iter().map(|edit| Ok((edit.replica.as_ref().map_or(Ok(0), index_of)?, edit.clone()))).collect()
}

async fn open_all(inputs: &[Input], home: &Home, args: &Args) -> Result<Vec<Replica>, Failure> {
    let mut replicas = Vec::new();
    for input in inputs {
        replicas.push(Replica::open(&input.name, home, args.resolve).await?);
    }
    Ok(replicas)
}

/// Loads one replica after the other, so that for the last writer to win means something: the last catalogue wins.
/// Takes stock of each before it meets another.
async fn load_all(replicas: &[Replica], inputs: Vec<Input>, bars: &Bars) -> Result<Vec<Row>, Failure> {
    let bars: Vec<_> = inputs.iter().map(|input| bars.loading(&input.name, input.entries.len())).collect();
    let mut rows = Vec::new();
    for ((replica, input), bar) in replicas.iter().zip(inputs).zip(&bars) {
        let loaded = load::load(&replica.packages, &input.entries, |loaded| show_load(bar, loaded)).await?;
        let full_copy = replica.node.encoded_size().await?;
        let keys = keys_of(&replica.node.status().await?);
        rows.push(Row { name: input.name, loaded, keys, input: input.bytes, full_copy, ..Row::default() });
        // Stamps have milliseconds: the next catalogue begins in a later one.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(rows)
}

/// What came of syncing.
struct Synced {
    converged: bool,
    syncing: Duration,
    sessions: Vec<SessionReport>,
    least_bits: f64,
    edits: Option<Edits>,
}

/// Connects all with all, waits until they agree, then writes the edits and waits again.
async fn sync_all(
    replicas: &[Replica],
    rows: &[Row],
    edits: &[(usize, Edit)],
    bars: &Bars,
    patience: Duration,
) -> Result<Synced, Failure> {
    let watches: Vec<Watch> = replicas.iter().map(|replica| watch(replica, bars)).collect();
    let started = Instant::now();
    sync::connect_all(replicas).await?;
    let mut converged = sync::agree(replicas, started + patience).await?;
    let syncing = started.elapsed();
    let mut edited = None;
    if converged && !edits.is_empty() {
        let before = sync::quiet(replicas).await;
        sync::edit(replicas, edits).await?;
        converged = sync::agree(replicas, Instant::now() + patience).await?;
        let after = sync::quiet(replicas).await;
        edited = Some(Edits::between(edits.len(), before, after));
    }
    let (mut sessions, mut least_bits) = (Vec::new(), 0.0);
    for ((replica, row), watch) in replicas.iter().zip(rows).zip(watches) {
        let node = replica.node.status().await?.node;
        for (peer, report) in watch.finish().await {
            // Either side had to be told which states to send, and says how many it sent.
            least_bits += Answer { keys: row.keys, sent: report.states_sent }.least_bits();
            // Both sides report a session; one of them is enough.
            if node < peer {
                sessions.push(report);
            }
        }
    }
    Ok(Synced { converged, syncing, sessions, least_bits, edits: edited })
}

fn watch(replica: &Replica, bars: &Bars) -> Watch {
    let mut bar = bars.syncing(&replica.name);
    let name = replica.name.clone();
    Watch::start(&replica.node, move |event| {
        bar.show(event);
        if let Some(trouble) = trouble(event) {
            bar.say(&format!("{name}: {trouble}"));
        }
    })
}

async fn read_all(replicas: &[Replica]) -> Result<Vec<Contents>, Failure> {
    let mut all = Vec::new();
    for replica in replicas {
        all.push(Contents::of(&replica.packages).await?);
    }
    Ok(all)
}
