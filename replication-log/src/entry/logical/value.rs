//! Values of columns, their types, and how they compare.

use alloc::{string::String, vec::Vec};
use core::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

/// A floating point number under IEEE 754 total order, so that it can be compared, hashed and kept
/// to the bit: `-NaN < -inf < -0.0 < 0.0 < inf < NaN`.
///
/// ```
/// use replication_log::entry::logical::TotalF64;
///
/// assert!(TotalF64(-0.0) < TotalF64(0.0));
/// assert_eq!(TotalF64(f64::NAN), TotalF64(f64::NAN));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TotalF64(pub f64);

impl PartialEq for TotalF64 {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for TotalF64 {}

impl PartialOrd for TotalF64 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TotalF64 {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for TotalF64 {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// What a column holds when it is not null.
///
/// ```
/// use replication_log::entry::logical::{ColumnType, Value};
///
/// assert_eq!(Value::from("milk").column_type(), ColumnType::Text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating point number.
    F64(TotalF64),
    /// Text in UTF-8, compared by its bytes.
    Text(String),
    /// Bytes without a meaning.
    Bytes(Vec<u8>),
    /// Microseconds since the Unix epoch.
    Timestamp(i64),
}

impl Value {
    /// The type of the value.
    pub const fn column_type(&self) -> ColumnType {
        match self {
            Self::Bool(_) => ColumnType::Bool,
            Self::I64(_) => ColumnType::I64,
            Self::U64(_) => ColumnType::U64,
            Self::F64(_) => ColumnType::F64,
            Self::Text(_) => ColumnType::Text,
            Self::Bytes(_) => ColumnType::Bytes,
            Self::Timestamp(_) => ColumnType::Timestamp,
        }
    }

    /// How the value compares with another; `None` when the two have nothing in common.
    ///
    /// Types that widen into each other compare by what they stand for, so that a predicate means
    /// the same before and after a column was widened: booleans, integers and timestamps as whole
    /// numbers, text and bytes as bytes. Floating point numbers compare only with their like, in
    /// total order.
    ///
    /// ```
    /// use core::cmp::Ordering;
    /// use replication_log::entry::logical::Value;
    ///
    /// assert_eq!(Value::I64(-1).compare(&Value::U64(u64::MAX)), Some(Ordering::Less));
    /// assert_eq!(Value::I64(1).compare(&Value::from("1")), None);
    /// ```
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if let (Self::F64(mine), Self::F64(theirs)) = (self, other) {
            return Some(mine.cmp(theirs));
        }
        if let (Some(mine), Some(theirs)) = (self.whole(), other.whole()) {
            return Some(mine.cmp(&theirs));
        }
        Some(self.bytes()?.cmp(other.bytes()?))
    }

    /// The value as one of type `to`, if every value of its type is one.
    pub(crate) fn widened(self, to: ColumnType) -> Option<Self> {
        match (self, to) {
            (Self::Bool(value), ColumnType::I64) => Some(Self::I64(value.into())),
            (Self::Bool(value), ColumnType::U64) => Some(Self::U64(value.into())),
            (Self::Timestamp(value), ColumnType::I64) => Some(Self::I64(value)),
            (Self::Text(value), ColumnType::Bytes) => Some(Self::Bytes(value.into_bytes())),
            (value, to) => (value.column_type() == to).then_some(value),
        }
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Self::Bool(value) => Some((*value).into()),
            Self::I64(value) | Self::Timestamp(value) => Some((*value).into()),
            Self::U64(value) => Some((*value).into()),
            Self::F64(_) | Self::Text(_) | Self::Bytes(_) => None,
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(value) => Some(value.as_bytes()),
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::I64(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::F64(TotalF64(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.into())
    }
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ColumnType {
    /// True or false.
    Bool,
    /// A signed integer.
    I64,
    /// An unsigned integer.
    U64,
    /// A floating point number.
    F64,
    /// Text in UTF-8.
    Text,
    /// Bytes without a meaning.
    Bytes,
    /// Microseconds since the Unix epoch.
    Timestamp,
}

impl ColumnType {
    /// Whether every value of this type is one of type `to`: the same type, a boolean as an
    /// integer, a timestamp as a signed integer, text as bytes.
    ///
    /// ```
    /// use replication_log::entry::logical::ColumnType;
    ///
    /// assert!(ColumnType::Text.widens_to(ColumnType::Bytes));
    /// assert!(!ColumnType::I64.widens_to(ColumnType::F64), "not every integer has its own float");
    /// ```
    pub fn widens_to(self, to: Self) -> bool {
        self == to
            || matches!(
                (self, to),
                (Self::Bool, Self::I64 | Self::U64)
                    | (Self::Timestamp, Self::I64)
                    | (Self::Text, Self::Bytes)
            )
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bool => "bool",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::F64 => "f64",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
        })
    }
}
