//! Small keys of one kind, and how they are synced.

use std::str::FromStr;

use conflict_store::Document;
use crdt_core::{GCounter, LwwRegister, PnCounter, ReplicaId, Stamp, codec};
use crdt_sync::{Action, Bytes, Cell, ClusterKey, Collection, Config, Delta, Entry, ItemKey, Limits};
use crdt_sync::{NodeId, Strategy, Timing, Write};

/// What is kept under the keys, which have 16 bytes. Values and bodies have 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Registers that were set once.
    Registers,
    /// Counters that were incremented once.
    Counters,
    /// Documents of one version.
    Documents,
}

/// By what two nodes come to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Runs of entries, however many there are.
    Runs,
    /// A Merkle session, as by default on first contact.
    Session,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Registers, Self::Counters, Self::Documents];

    /// As it is said in tables and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registers => "registers",
            Self::Counters => "counters",
            Self::Documents => "documents",
        }
    }

    /// The collection that the keys are in.
    pub fn collection(self) -> Collection {
        match self {
            Self::Registers => Collection::registers(self.name()),
            Self::Counters => Collection::counters(self.name()),
            Self::Documents => Collection::documents(self.name(), Strategy::Keep),
        }
    }

    /// The write to the key of this number. Keys come in no order that a tree would like.
    pub fn write(self, number: u64) -> Write {
        let scattered = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let value = Bytes::from(&number.to_le_bytes()[..]);
        let action = match self {
            Self::Registers => Action::Set(Some(value)),
            Self::Counters => Action::Increment(number + 1),
            Self::Documents => Action::Insert(value),
        };
        Write { collection: self.collection().id(), key: format!("{scattered:016x}").as_str().into(), action }
    }

    /// The cell that an entry makes of a key nobody wrote to.
    ///
    /// # Panics
    ///
    /// When it is no entry of this kind.
    pub fn cell_of_entry(self, entry: &Entry, origin: ReplicaId) -> Cell {
        match &entry.delta {
            Delta::Register(value) => {
                let mut register = LwwRegister::default();
                let stamp = Stamp { time: entry.stamp, replica: origin };
                let value = value.clone().expect("the register was set");
                register.set(stamp, value).expect("an empty register takes any stamp");
                Cell::Register(register)
            }
            Delta::Counter { incremented, .. } => {
                let counted = GCounter::from_entries([(origin, *incremented)]);
                Cell::Counter(PnCounter::from_parts(counted, GCounter::default()))
            }
            Delta::Document(versions) => self.cell_of_state(&entry.key, versions),
            other => panic!("no entry of {}: {other:?}", self.name()),
        }
    }

    /// The cell in the bytes of a state.
    ///
    /// # Panics
    ///
    /// When they are no state of this kind.
    pub fn cell_of_state(self, key: &[u8], state: &[u8]) -> Cell {
        let limits = crdt_core::Limits::DEFAULT;
        match self {
            Self::Registers => Cell::Register(codec::decode_payload(state, &limits).expect("a register")),
            Self::Counters => Cell::Counter(codec::decode_payload(state, &limits).expect("a counter")),
            Self::Documents => {
                Cell::Document(Document::decode_for_key(key, state, &limits).expect("a document"))
            }
        }
    }

    /// The key as the engine has it.
    pub fn item(self, key: Bytes) -> ItemKey {
        ItemKey { collection: self.collection().id(), key }
    }
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Runs, Self::Session];

    /// As it is said in tables and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Session => "session",
        }
    }

    /// Bounds with which it is this way.
    pub fn limits(self) -> Limits {
        match self {
            Self::Runs => Limits { max_retained: 1 << 30, ..Limits::default() },
            Self::Session => Limits::default(),
        }
    }

    /// Waiting times with which it is this way; those of TCP.
    pub fn timing(self) -> Timing {
        let catch_up_entries = match self {
            Self::Runs => u64::MAX,
            Self::Session => Timing::DEFAULT.catch_up_entries,
        };
        let (resend_after, session_timeout) =
            (std::time::Duration::from_secs(15), std::time::Duration::from_secs(60));
        Timing { resend_after, session_timeout, catch_up_entries, ..Timing::DEFAULT }
    }

    /// The configuration of an engine without a driver.
    pub fn config(self, node: u8, kind: Kind) -> Config {
        let mut config = Config::new(NodeId::from_u128(u128::from(node)), cluster(), [node; 32])
            .with_collections([kind.collection()]);
        config.limits = self.limits();
        config.timing = self.timing();
        config
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

impl FromStr for Way {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|way| way.name() == name).ok_or(())
    }
}

/// The cluster of all nodes here.
pub fn cluster() -> ClusterKey {
    ClusterKey::from_bytes([7; 16])
}
