//! What a remote client holds after a read, so that its write can say what it saw.
//!
//! A client has no replica. It reads a value, thinks, and writes, perhaps hours later and to another
//! node. In between it carries what it had seen, as a [`Token`] it cannot read or change: `seen` is
//! what is inside, `text` the token itself, `seal` makes and opens one.

mod error;
mod seal;
mod seen;
mod text;

#[cfg(test)]
mod tests;

pub use error::{OpenTokenError, ParseTokenError, SealTokenError};
pub use seal::{TokenKey, TokenScope, Tokens};
pub use seen::Seen;
pub use text::Token;
