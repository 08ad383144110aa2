//! Reconciling two copies of a partition: first the trees are compared, then the states that differ are exchanged.
//!
//! Here is one side of such a session, whichever topology conducts it: the conduct opens it, repeats what was not
//! answered, and decides whether what the peer has seen is taken over in the end.
//!
//! ```text
//! initiator                                      responder            (or the other way round, see `holds_back`)
//!   Open {standing}                 ->
//!                                   <-           Accept {standing}
//!   Tree ..                        <->           Tree ..
//!   States 0, 1, ..                 ->                                (of keys that differ)
//!   Sent {parts, weight}            ->
//!                                   <-           States 0, 1, ..      (what those lack, and keys not among them)
//!                                   <-           Sent {parts, weight}
//!   States ..                       ->                                (answers to states that were behind)
//!   End {parts}                    <->           End {parts}
//!   Done                           <->           Done
//! ```
//!
//! Every message may be lost, doubled or late: parts are numbered and acknowledged, and what was not answered
//! is said again.

mod admit;
mod incoming;
mod opening;
mod outgoing;
mod queue;
mod session;
mod tree_talk;

pub(crate) use admit::{apply, may_vouch, renew_identity};
pub(crate) use incoming::Incoming;
pub(crate) use opening::{Opening, photograph};
pub(crate) use outgoing::Outgoing;
pub(crate) use session::{Allowance, Patience, Session, Terms, Unlimited, bytes_of};
pub(crate) use tree_talk::TreeTalk;
