//! How much foreign bytes may ask for. Every bound of this crate is here.

/// Bounds on one decode.
///
/// What exceeds them is refused with a typed error before anything of that size is allocated. The
/// defaults suit a server that takes whole states from its peers; a public endpoint that expects
/// small deltas should set far smaller ones.
///
/// ```
/// use crdt_core::Limits;
///
/// let small = Limits { max_bytes: 64 * 1024, ..Limits::default() };
/// assert_eq!(small.max_elements, Limits::default().max_elements);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest input looked at, envelope included. Default: 64 MiB.
    pub max_bytes: usize,
    /// How many elements of sequences and maps one input may hold, all nesting levels together. It
    /// bounds the work that elements of zero encoded bytes can cause, which no byte limit would.
    /// Default: 4 Mi.
    pub max_elements: usize,
    /// How deep values may nest; options, newtypes and enum variants count as a level. It keeps
    /// recursive types of users off the end of the stack. Default: 64.
    pub max_depth: usize,
}

impl Limits {
    /// What [`Limits::default`] returns, usable in constants.
    pub const DEFAULT: Self = Self { max_bytes: 64 << 20, max_elements: 4 << 20, max_depth: 64 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
