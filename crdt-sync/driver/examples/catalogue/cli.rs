//! What can be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

use crate::rules::Resolve;

/// Brings package catalogues together that went separate ways.
///
/// Each catalogue is loaded into a node of its own, offline; then the nodes connect over TCP and sync until they
/// agree. A catalogue is a text file with a package, a tab and a version on each line.
#[derive(Debug, Parser)]
#[command(name = "catalogue")]
pub(crate) struct Args {
    /// The catalogues, two or more; without any, three Debian releases that come with the example.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// What is shown of a package whose versions differ.
    #[arg(long, value_enum, default_value_t = Resolve::Keep, value_name = "RULE")]
    pub(crate) resolve: Resolve,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,

    /// Write what each replica holds at the end to `DIR/<replica>.tsv`.
    #[arg(long, value_name = "DIR")]
    pub(crate) dump: Option<PathBuf>,

    /// Keep the logs in `DIR/<replica>`, and go on from what is there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Once all agree, write this version on this replica (the first, if none is named) and sync again; may be
    /// given more than once.
    #[arg(long = "edit", value_name = "KEY=VERSION[@REPLICA]", conflicts_with_all = ["listen", "peers", "load"])]
    pub(crate) edits: Vec<Edit>,

    /// Instead of files, take one of the catalogues that come with the example and a copy of it in which this many
    /// versions differ.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["files", "listen", "peers", "load"])]
    pub(crate) differ: Option<usize>,

    /// Give up when the replicas do not agree after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    deadline: u64,

    /// Be one node of several processes, and accept peers at this loopback address.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "files", help_heading = "One node per process")]
    pub(crate) listen: Option<SocketAddr>,

    /// Be one node of several processes, and connect to this one; may be given more than once.
    #[arg(
        long = "peer",
        value_name = "ADDRESS",
        conflicts_with = "files",
        help_heading = "One node per process"
    )]
    pub(crate) peers: Vec<SocketAddr>,

    /// The catalogue to load before meeting any peer.
    #[arg(long, value_name = "FILE", conflicts_with = "files", help_heading = "One node per process")]
    pub(crate) load: Option<PathBuf>,

    /// End when this many peers hold the same as this node and nobody has anything more to say; without it, end at
    /// Ctrl-C.
    #[arg(long, value_name = "PEERS", conflicts_with = "files", help_heading = "One node per process")]
    pub(crate) exit_when_synced: Option<usize>,
}

impl Args {
    /// Whether this process is one node of several.
    pub(crate) fn is_single(&self) -> bool {
        self.listen.is_some() || !self.peers.is_empty() || self.load.is_some()
    }

    /// How long to wait for agreement.
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline)
    }
}

/// A version to be written on a replica once all agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) key: String,
    pub(crate) version: String,
    pub(crate) replica: Option<String>,
}

impl FromStr for Edit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, rest) = text.split_once('=').ok_or("there is no `=` between key and version")?;
        let (version, replica) = match rest.rsplit_once('@') {
            Some((version, replica)) => (version, Some(replica.to_owned())),
            None => (rest, None),
        };
        if key.is_empty() || version.is_empty() {
            return Err("key and version must not be empty");
        }
        Ok(Self { key: key.to_owned(), version: version.to_owned(), replica })
    }
}
