//! Why there is no such policy.

use alloc::string::String;

/// Why a policy makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It asks for no acknowledgement. The asynchronous policy is the one that does so openly.
    #[error("a policy that counts acknowledgements needs at least 1; asynchronous is the empty text")]
    CountsNobody,
    /// It asks for more than can ever come.
    #[error("{count} acknowledgements are asked for, but only {listed} followers are listed")]
    CountsMoreThanListed {
        /// The acknowledgements asked for.
        count: u32,
        /// The followers listed.
        listed: usize,
    },
    /// It lists nobody.
    #[error("no follower is listed")]
    NobodyListed,
    /// It lists a follower twice, which is one follower.
    #[error("the follower at place {place} of the list, counted from 0, is listed before")]
    ListedTwice {
        /// Where in the list it stands for the second time, counted from 0.
        place: usize,
    },
    /// It lists more than [`MAX_FOLLOWERS`](crate::limits::MAX_FOLLOWERS).
    #[error("more than {limit} followers are listed")]
    TooManyListed {
        /// The bound.
        limit: usize,
    },
}

/// Why a text is no policy. `at` is an offset in bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParsePolicyError {
    /// Something else stands there.
    #[error("`{found}` at byte {at}, where {expected} was expected")]
    Unexpected {
        /// Where.
        at: usize,
        /// What stands there.
        found: char,
        /// What should.
        expected: &'static str,
    },
    /// The text ends too early.
    #[error("the text ends at byte {at}, where {expected} was expected")]
    End {
        /// Where: the length of the text.
        at: usize,
        /// What should follow.
        expected: &'static str,
    },
    /// A keyword stands where a name belongs.
    #[error("`{keyword}` at byte {at} is a keyword; a follower of that name is written in double quotes")]
    Keyword {
        /// Where.
        at: usize,
        /// As it is written there.
        keyword: String,
    },
    /// A name in quotes does not end.
    #[error("the name that begins with a quote at byte {at} has no quote at its end")]
    OpenQuote {
        /// Where it begins.
        at: usize,
    },
    /// A number is larger than any count of followers.
    #[error("the number at byte {at} is too large")]
    NumberTooLarge {
        /// Where.
        at: usize,
    },
    /// It reads well and makes no sense.
    #[error("at byte {at}: {error}")]
    Policy {
        /// Where: the count, or the name.
        at: usize,
        /// What is wrong.
        error: PolicyError,
    },
}

impl ParsePolicyError {
    /// Where in the text, in bytes.
    pub const fn at(&self) -> usize {
        match self {
            Self::Unexpected { at, .. }
            | Self::End { at, .. }
            | Self::Keyword { at, .. }
            | Self::OpenQuote { at }
            | Self::NumberTooLarge { at }
            | Self::Policy { at, .. } => *at,
        }
    }
}

/// Why a policy's names do not stand for followers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamesError<N> {
    /// Nobody is called so.
    #[error("nobody knows the follower {name}")]
    Unknown {
        /// The name.
        name: N,
    },
    /// Two names are one follower's.
    #[error("{name} is a follower that another name of the list stands for already")]
    SameFollower {
        /// The second of the two.
        name: N,
    },
}
