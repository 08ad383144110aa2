//! What a world is made of.

use core::ops::RangeInclusive;
use core::time::Duration;

use crdt_sync::{Collection, Limits, PlantedBug, Timing, merkle};

use crate::faults::Hostility;

/// The nodes of a world, what they hold, and what they must endure.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many nodes there are.
    pub nodes: usize,
    /// Into how many partitions keys are divided.
    pub partitions: u16,
    /// The collections, the same on every node.
    pub collections: Vec<Collection>,
    /// The bounds of every node.
    pub limits: Limits,
    /// How long every node waits for what.
    pub timing: Timing,
    /// The size of the hash trees; small, because a simulated node holds little.
    pub leaf_bits: u8,
    /// How long a frame takes when nothing is wrong. The range makes frames overtake each other.
    pub latency: RangeInclusive<Duration>,
    /// How long a sync takes.
    pub sync_time: RangeInclusive<Duration>,
    /// How long it is from one checkpoint of a node to the next; `None` for nodes that make none.
    pub between_checkpoints: Option<RangeInclusive<Duration>>,
    /// What goes wrong; `None` for a world without faults.
    pub hostility: Option<Hostility>,
    /// A mistake that every engine is told to make.
    pub plant: Option<PlantedBug>,
}

impl Setup {
    /// A hostile world of so many nodes with these collections, all of whose bounds and spans are small, so that
    /// what takes megabytes and minutes elsewhere happens within some hundred writes.
    pub fn hostile(nodes: usize, collections: impl IntoIterator<Item = Collection>) -> Self {
        let micros = Duration::from_micros;
        Self {
            nodes,
            partitions: 2,
            collections: collections.into_iter().collect(),
            limits: small_limits(),
            timing: short_timing(),
            leaf_bits: 8,
            latency: micros(200)..=micros(5_000),
            sync_time: micros(500)..=micros(20_000),
            between_checkpoints: Some(micros(100_000)..=micros(2_000_000)),
            hostility: Some(Hostility::default()),
            plant: None,
        }
    }

    /// The same world without faults.
    pub fn peaceful(nodes: usize, collections: impl IntoIterator<Item = Collection>) -> Self {
        Self { hostility: None, ..Self::hostile(nodes, collections) }
    }
}

fn small_limits() -> Limits {
    Limits {
        max_frame: 64 << 10,
        max_retained: 1 << 10,
        send_window: 2 << 10,
        parts_window: 2,
        part_size: 256,
        merkle: merkle::Limits { max_frame: 256, max_items: 4, ..merkle::Limits::default() },
        ..Limits::default()
    }
}

fn short_timing() -> Timing {
    let millis = Duration::from_millis;
    Timing {
        heartbeat: millis(50),
        resend_after: millis(150),
        relay_after: millis(30),
        session_timeout: millis(800),
        keep_alive: millis(400),
        silence: millis(2_000),
        catch_up_entries: 12,
        ..Timing::default()
    }
}
