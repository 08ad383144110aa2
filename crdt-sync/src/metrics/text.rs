//! A snapshot as text, in the exposition format of Prometheus.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Counters, Flow, Lag, Metrics};

/// Writes [`Metrics`] in the text format of Prometheus, version 0.0.4, which most monitoring systems read.
///
/// Every family starts with its help and its type; the names are stable. Counters end in `_total` and start at zero
/// when an engine is opened. Every sample has the label `node`, besides those the caller gives.
///
/// ```
/// # use crdt_sync::time::{Instant, Now, WallTime};
/// # use crdt_sync::{ClusterKey, Config, Engine, NodeId};
/// # let config = Config::new(NodeId::from_u128(1), ClusterKey::from_bytes([7; 16]), [1; 32]);
/// # let now = Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(0) };
/// # let engine = Engine::open(config, Vec::<(_, Vec<u8>)>::new(), now)?;
/// let text = engine.metrics().exposition(&[("shop", "Berlin")]).to_string();
/// let node = "00000000000000000000000000000001";
/// let line = format!("crdt_sync_log_appended_records{{node=\"{node}\",shop=\"Berlin\"}} 2");
/// assert!(text.lines().any(|found| found == line));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Exposition<'m> {
    metrics: &'m Metrics,
    labels: &'m [(&'m str, &'m str)],
}

impl Metrics {
    /// The snapshot as text, with these labels on every sample. Characters that a label's name cannot have become `_`.
    pub fn exposition<'m>(&'m self, labels: &'m [(&'m str, &'m str)]) -> Exposition<'m> {
        Exposition { metrics: self, labels }
    }
}

/// The labels of a sample besides those that all have, and its value.
type Sample = (Vec<(&'static str, String)>, u64);

impl fmt::Display for Exposition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.standing(f)?;
        self.peers(f)?;
        self.traffic(f)?;
        self.counted(f)
    }
}

impl Exposition<'_> {
    fn standing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = self.metrics;
        let gauges = [
            ("log_appended_records", "Last record handed to the log.", metrics.appended.get()),
            ("log_durable_records", "Last record of the log that is durable.", metrics.durable.get()),
            ("merkle_sessions_open", "Merkle sessions that are open.", count(metrics.open_merkle_sessions)),
            (
                "requests_waiting_for_disk",
                "Requests that wait for the disk.",
                count(metrics.requests_waiting_for_disk),
            ),
            (
                "requests_waiting_for_entries",
                "Requests in sessions that wait for entries of other nodes.",
                count(metrics.requests_waiting_for_entries),
            ),
            ("gated_outputs", "Outputs that wait for the disk.", count(metrics.gated_outputs)),
        ];
        for (name, help, value) in gauges {
            self.family(f, name, "gauge", help, [(Vec::new(), value)])?;
        }
        let partitions = || (0_u16..).zip(&metrics.partitions);
        let labels = |number: u16| Vec::from([("partition", number.to_string())]);
        let keys = partitions().map(|(number, partition)| (labels(number), count(partition.keys)));
        self.family(f, "keys", "gauge", "Keys that are held.", keys)?;
        let origins = partitions().map(|(number, partition)| (labels(number), count(partition.origins)));
        self.family(f, "origins", "gauge", "Origins whose entries are followed.", origins)?;
        let retained =
            partitions().map(|(number, partition)| (labels(number), count(partition.retained_bytes)));
        self.family(f, "retained_bytes", "gauge", "Bytes of entries kept to be handed on.", retained)
    }

    fn peers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = &self.metrics.peers;
        let named = |peer: &super::PeerMetrics| Vec::from([("peer", peer.node.to_string())]);
        let in_sync = peers.iter().map(|peer| (named(peer), u64::from(peer.in_sync)));
        self.family(f, "peer_in_sync", "gauge", "Whether a peer holds the same (1) or not (0).", in_sync)?;
        let heard = peers.iter().filter_map(|peer| Some((named(peer), peer.heard?.as_micros())));
        let help = "When a peer was heard last, in microseconds of the node's own clock.";
        self.family(f, "peer_heard_microseconds", "gauge", help, heard)?;
        let lags = |of: fn(Lag) -> Option<u64>| {
            peers.iter().flat_map(move |peer| {
                (0_u16..).zip(&peer.lag).filter_map(move |(number, lag)| {
                    let labels =
                        Vec::from([("peer", peer.node.to_string()), ("partition", number.to_string())]);
                    Some((labels, of((*lag)?)?))
                })
            })
        };
        let help = "Entries that a peer has and this node lacks.";
        self.family(f, "entries_missing_here", "gauge", help, lags(|lag| Some(lag.missing_here)))?;
        let help = "Entries that this node has and a peer has not acknowledged.";
        self.family(f, "entries_missing_there", "gauge", help, lags(|lag| Some(lag.missing_there)))?;
        let help = "Bytes of the entries that a peer has not acknowledged, where they are known.";
        self.family(f, "bytes_missing_there", "gauge", help, lags(|lag| Some(lag.owed?.bytes)))?;
        let help = "When the oldest entry was written that a peer has not acknowledged, since 1970.";
        let oldest = lags(|lag| Some(lag.owed?.oldest?.as_millis()));
        self.family(f, "oldest_missing_there_milliseconds", "gauge", help, oldest)
    }

    fn traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters { sent, received, .. } = &self.metrics.counters;
        let flows = |of: fn(Flow) -> u64| {
            [("sent", sent), ("received", received)].into_iter().flat_map(move |(direction, flows)| {
                flows.by_kind().map(|(kind, flow)| {
                    (
                        Vec::from([("direction", direction.to_string()), ("message", kind.to_string())]),
                        of(flow),
                    )
                })
            })
        };
        self.family(f, "frames_total", "counter", "Frames by message.", flows(|flow| flow.frames))?;
        self.family(
            f,
            "frame_bytes_total",
            "counter",
            "Bytes of frames by message.",
            flows(|flow| flow.bytes),
        )
    }

    fn counted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.metrics.counters;
        let totals = [
            ("entries_sent_total", "Entries in runs that were sent.", counters.entries_sent),
            ("entries_applied_total", "Entries of other nodes that were new here.", counters.entries_applied),
            ("appends_total", "Batches handed to the log.", counters.appends),
            ("appended_records_total", "Records handed to the log.", counters.appended_records),
            ("appended_bytes_total", "Bytes of records handed to the log.", counters.appended_bytes),
            ("syncs_total", "Reports of the log that more is durable.", counters.syncs),
            ("write_requests_total", "Commands to write.", counters.write_requests),
            ("read_requests_total", "Reads and scans.", counters.read_requests),
            ("session_requests_total", "Requests in sessions of clients.", counters.session_requests),
            (
                "read_repairs_total",
                "Replicas that a read found behind and sent what they lacked.",
                counters.read_repairs,
            ),
            (
                "hints_lost_total",
                "What was kept for other nodes and given up as too old.",
                counters.hints_lost,
            ),
            (
                "merkle_sessions_started_total",
                "Merkle sessions that began.",
                counters.merkle_sessions_started,
            ),
            (
                "merkle_sessions_finished_total",
                "Merkle sessions that came to their end.",
                counters.merkle_sessions_finished,
            ),
            (
                "merkle_sessions_complete_total",
                "Merkle sessions after which the peer's frontier was taken over.",
                counters.merkle_sessions_complete,
            ),
            (
                "merkle_sessions_aborted_total",
                "Merkle sessions that were given up.",
                counters.merkle_sessions_aborted,
            ),
            ("merkle_tree_bytes_total", "Bytes of tree comparisons.", counters.merkle_tree_bytes),
            ("merkle_states_sent_total", "States sent in Merkle sessions.", counters.merkle_states_sent),
            (
                "merkle_states_received_total",
                "States received in Merkle sessions.",
                counters.merkle_states_received,
            ),
            ("forks_total", "Histories that turned out to be forked.", counters.forks),
            ("identities_renewed_total", "Identities given up.", counters.identities_renewed),
        ];
        for (name, help, value) in totals {
            self.family(f, name, "counter", help, [(Vec::new(), value)])?;
        }
        let refusals = counters
            .refusals
            .iter()
            .map(|(cause, times)| (Vec::from([("cause", (*cause).to_string())]), *times));
        self.family(f, "refusals_total", "counter", "What was refused, by cause.", refusals)
    }

    fn family(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample>,
    ) -> fmt::Result {
        writeln!(f, "# HELP crdt_sync_{name} {help}\n# TYPE crdt_sync_{name} {kind}")?;
        for (labels, value) in samples {
            write!(f, "crdt_sync_{name}{{node=\"{}\"", self.metrics.node)?;
            let common = self.labels.iter().copied();
            for (label, text) in labels.iter().map(|(label, text)| (*label, text.as_str())).chain(common) {
                write!(f, ",{}=\"{}\"", LabelName(label), LabelValue(text))?;
            }
            writeln!(f, "}} {value}")?;
        }
        Ok(())
    }
}

fn count(number: usize) -> u64 {
    number as u64
}

/// A label's name: letters, digits and underscores, and no digit first.
struct LabelName<'t>(&'t str);

impl fmt::Display for LabelName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.chars().enumerate() {
            let fits = letter.is_ascii_alphabetic() || (letter.is_ascii_digit() && at > 0);
            write!(f, "{}", if fits { letter } else { '_' })?;
        }
        if self.0.is_empty() { f.write_str("_") } else { Ok(()) }
    }
}

/// A label's value: backslashes, quotes and line feeds are escaped.
struct LabelValue<'t>(&'t str);

impl fmt::Display for LabelValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            other => write!(f, "{other}"),
        })
    }
}
