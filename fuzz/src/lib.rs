//! Promises that targets check, each a function of the fuzzer's bytes. All of them panic if the promise is broken:
//! that is what the fuzzer looks for.

#![expect(clippy::missing_panics_doc, reason = "every function here panics to say what it found")]

mod cluster;
mod damage;
mod decode;
mod engine;
mod merkle;
mod tamper;

pub use damage::a_damaged_log_opens_the_same_way_twice;
pub use decode::{
    a_document_decodes_only_from_its_canonical_bytes, a_message_decodes_only_from_its_one_frame,
    decodes_only_what_is_canonical,
};
pub use engine::what_one_peer_says_does_not_cut_off_the_other;
pub use merkle::a_session_ends_whatever_the_peer_says;
