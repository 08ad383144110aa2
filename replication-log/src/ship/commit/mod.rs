//! What of a leader's log is committed, who is told, and what happens if followers are missing.
//!
//! | file | the question it answers |
//! |---|---|
//! | `marks` | what do these acknowledgements commit? ([`Commits`]) |
//! | `options` | what was chosen? ([`CommitOptions`], [`Visibility`], [`WhenShort`]) |
//! | `followers`, `count` | who has what, and how far does that reach? |
//! | `admission`, `waiting` | which commits wait, and how did they end? ([`Ticket`], [`CommitOutcome`]) |
//! | `shortage` | since when does it take too long? ([`Mode`]) |
//! | `reign`, `history` | whose records are these, and what became of one? ([`Fate`]) |
//! | `event` | what does an operator have to hear of? ([`Event`]) |

mod admission;
mod count;
mod error;
mod event;
mod followers;
mod history;
mod marks;
mod options;
mod reign;
mod shortage;
mod waiting;

pub use error::{AddError, AdmitError, FollowerError, ReignError, WaitError};
pub use event::Event;
pub use followers::{Follower, Link, Role};
pub use history::Fate;
pub use marks::Commits;
pub use options::{CommitOptions, Visibility, WhenShort};
pub use shortage::Mode;
pub use waiting::{CommitOutcome, GaveUp, Ticket};

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
