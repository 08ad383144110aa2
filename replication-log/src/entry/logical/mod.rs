//! Logical entries: what happened to which row, in terms that another schema version, another page
//! format and another kind of store understand.
//!
//! A writer puts each of its transactions into a [`Batch`](crate::Batch) with
//! [`Transaction::write`], behind a [`SchemaChange`] for every schema that its rows use.
//! [`Transactions`] puts them together again from the records of a log, a [`Filter`] cuts them down
//! to what one follower wants, and a [`LogicalApplier`] applies them to a [`Target`].
//!
//! A log that was truncated at its oldest end may have lost the entry that declares a schema.
//! Declaring a schema again is always fine, so a writer repeats those in use before it truncates.
//!
//! `docs/formats.md` of the repository draws the bytes.

mod applier;
mod change;
mod codec;
mod filter;
mod predicate;
mod registry;
mod row;
mod schema;
mod target;
mod transaction;
mod translate;
mod value;
mod version;

use crate::bytes;

pub use crate::bytes::Malformed;
pub use applier::{ApplyError, LogicalApplier, Outcome};
pub use change::{Before, Change, CollectionId, Entry, LogicalEntry, Operation, SchemaChange};
pub use codec::{Decoded, EntryError};
pub use filter::{Filter, FilterError, Operations, Rule};
pub use predicate::{Comparison, Predicate, PredicateError};
pub use registry::{RegistryError, SchemaRegistry};
pub use row::{Cell, ColumnId, Row};
pub use schema::{Column, EvolutionError, ReplicaIdentity, RowError, Schema, SchemaError, SchemaId};
pub use target::{MemoryTarget, Target};
pub use transaction::{LOGICAL, StreamError, Transaction, Transactions, WriteError};
pub use translate::{Mismatch, UnknownColumns};
pub use value::{ColumnType, TotalF64, Value};
pub use version::{FORMAT_VERSIONS, FormatVersions, NoCommonVersion};
