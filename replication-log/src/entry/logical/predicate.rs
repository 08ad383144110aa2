//! Conditions on rows, in three-valued logic.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{
    Cell, ColumnId, Malformed, Row, Value,
    bytes::{Input, put_count, put_number},
    codec::{put_value, take_value},
};
use crate::limits::{MAX_PREDICATE_DEPTH, MAX_PREDICATE_NODES};

/// A condition on the columns of a row.
///
/// Logic is three-valued as in SQL: a comparison with null, or of types that have nothing in common
/// (see [`Value::compare`]), is *unknown*; `not` unknown is unknown; `and` is false if one side is
/// false, `or` is true if one side is true, and otherwise unknown if one side is. A row passes only
/// if the whole is true. A column that a whole row does not have counts as null.
///
/// ```
/// use replication_log::entry::logical::{Cell, ColumnId, Comparison, Predicate, Row};
///
/// let price = ColumnId(2);
/// let cheap = Predicate::compare(price, Comparison::Less, 100_i64);
/// let cheap_or_free = cheap.clone().or(Predicate::is_null(price))?;
/// assert!(cheap.passes(&Row::new().with(price, 99_i64)));
/// assert!(!cheap.passes(&Row::new().with(price, Cell::Null)), "unknown is not true");
/// assert!(!cheap.not()?.passes(&Row::new().with(price, Cell::Null)), "nor is its opposite");
/// assert!(cheap_or_free.passes(&Row::new().with(price, Cell::Null)));
/// # Ok::<(), replication_log::entry::logical::PredicateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    /// Operands before their operators, so that nothing here recurses.
    nodes: Vec<Node>,
    depth: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Compare(ColumnId, Comparison, Value),
    IsNull(ColumnId),
    Not,
    And,
    Or,
}

/// How a column is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// The column is the value.
    Equal,
    /// The column is another value.
    NotEqual,
    /// The column is below the value.
    Less,
    /// The column is the value or below.
    AtMost,
    /// The column is above the value.
    Greater,
    /// The column is the value or above.
    AtLeast,
}

impl Comparison {
    const ALL: [Self; 6] =
        [Self::Equal, Self::NotEqual, Self::Less, Self::AtMost, Self::Greater, Self::AtLeast];

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

/// What is known about a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    const fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    const fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// `and` if `decisive` is false, `or` if it is true. A side that depends on a column that is not
/// told, `None`, matters unless the other side decides.
fn join(left: Option<Truth>, right: Option<Truth>, decisive: Truth) -> Option<Truth> {
    if left == Some(decisive) || right == Some(decisive) {
        return Some(decisive);
    }
    let (left, right) = (left?, right?);
    let unknown = left == Truth::Unknown || right == Truth::Unknown;
    Some(if unknown { Truth::Unknown } else { decisive.not() })
}

impl Predicate {
    /// The column compares so with the value.
    pub fn compare(column: ColumnId, comparison: Comparison, value: impl Into<Value>) -> Self {
        Self { nodes: [Node::Compare(column, comparison, value.into())].into(), depth: 1 }
    }

    /// The column is null. Never unknown.
    pub fn is_null(column: ColumnId) -> Self {
        Self { nodes: [Node::IsNull(column)].into(), depth: 1 }
    }

    /// Both hold.
    pub fn and(self, other: Self) -> Result<Self, PredicateError> {
        self.join(other, Node::And)
    }

    /// One of them holds.
    pub fn or(self, other: Self) -> Result<Self, PredicateError> {
        self.join(other, Node::Or)
    }

    /// It does not hold.
    #[expect(clippy::should_implement_trait, reason = "it can fail")]
    pub fn not(mut self) -> Result<Self, PredicateError> {
        self.nodes.push(Node::Not);
        self.depth += 1;
        self.bounded()
    }

    /// Whether a whole row passes. O(nodes log columns).
    pub fn passes(&self, row: &Row) -> bool {
        self.evaluate(row, true) == Some(Truth::True)
    }

    /// Whether a row passes of which some columns may not be told; `None` when that depends on one
    /// of those. O(nodes log columns).
    pub fn passes_partial(&self, row: &Row) -> Option<bool> {
        self.evaluate(row, false).map(|truth| truth == Truth::True)
    }

    fn join(mut self, other: Self, node: Node) -> Result<Self, PredicateError> {
        self.nodes.extend(other.nodes);
        self.nodes.push(node);
        self.depth = self.depth.max(other.depth) + 1;
        self.bounded()
    }

    fn bounded(self) -> Result<Self, PredicateError> {
        if self.nodes.len() > MAX_PREDICATE_NODES {
            return Err(PredicateError::TooLarge { limit: MAX_PREDICATE_NODES });
        }
        if self.depth > MAX_PREDICATE_DEPTH {
            return Err(PredicateError::TooDeep { limit: MAX_PREDICATE_DEPTH });
        }
        Ok(self)
    }

    fn evaluate(&self, row: &Row, whole: bool) -> Option<Truth> {
        let cell = |column| match row.get(column) {
            Cell::Unchanged if whole => Some(&Cell::Null),
            Cell::Unchanged => None,
            told => Some(told),
        };
        let mut stack: Vec<Option<Truth>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let truth = match node {
                Node::Compare(column, comparison, value) => cell(*column).map(|cell| match cell {
                    Cell::Value(held) => held
                        .compare(value)
                        .map_or(Truth::Unknown, |ordering| Truth::of(comparison.holds(ordering))),
                    Cell::Null | Cell::Unchanged => Truth::Unknown,
                }),
                Node::IsNull(column) => cell(*column).map(|cell| Truth::of(*cell == Cell::Null)),
                Node::Not => stack.pop()?.map(Truth::not),
                Node::And => join(stack.pop()?, stack.pop()?, Truth::False),
                Node::Or => join(stack.pop()?, stack.pop()?, Truth::True),
            };
            stack.push(truth);
        }
        stack.pop()?
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        put_count(bytes, self.nodes.len());
        for node in &self.nodes {
            match node {
                Node::Compare(column, comparison, value) => {
                    bytes.push(*comparison as u8 + 1);
                    put_number(bytes, column.0.into());
                    put_value(bytes, value);
                }
                Node::IsNull(column) => {
                    bytes.push(7);
                    put_number(bytes, column.0.into());
                }
                Node::Not => bytes.push(8),
                Node::And => bytes.push(9),
                Node::Or => bytes.push(10),
            }
        }
    }

    pub(super) fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        const SHAPE: Malformed = Malformed::Shape("operators and operands of the predicate do not match");
        // The depth of each operand that is still without an operator.
        let mut depths: Vec<usize> = Vec::new();
        let mut nodes = Vec::new();
        for _ in 0..input.count(MAX_PREDICATE_NODES, "nodes of a predicate")? {
            let (node, depth) = match input.byte()? {
                tag @ 1..=6 => {
                    let comparison = Comparison::ALL[usize::from(tag - 1)];
                    let column = ColumnId(input.number_u32()?);
                    let tag = input.byte()?;
                    (Node::Compare(column, comparison, take_value(input, tag)?), 0)
                }
                7 => (Node::IsNull(ColumnId(input.number_u32()?)), 0),
                8 => (Node::Not, depths.pop().ok_or(SHAPE)?),
                tag @ (9 | 10) => {
                    let (right, left) = (depths.pop().ok_or(SHAPE)?, depths.pop().ok_or(SHAPE)?);
                    (if tag == 9 { Node::And } else { Node::Or }, left.max(right))
                }
                tag => return Err(Malformed::Tag(tag)),
            };
            super::bytes::within(depth + 1, MAX_PREDICATE_DEPTH, "levels of a predicate")?;
            nodes.push(node);
            depths.push(depth + 1);
        }
        match depths[..] {
            [depth] => Ok(Self { nodes, depth }),
            _ => Err(SHAPE),
        }
    }
}

/// Why a predicate was not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PredicateError {
    /// It has more parts than [`MAX_PREDICATE_NODES`].
    #[error("a predicate has at most {limit} comparisons and operators")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// It is nested deeper than [`MAX_PREDICATE_DEPTH`].
    #[error("a predicate is nested at most {limit} levels deep")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
}
