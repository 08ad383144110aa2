//! Promises that targets check, each a function of the fuzzer's bytes. All of them panic if the promise is broken:
//! that is what the fuzzer looks for.

#![expect(
    clippy::missing_panics_doc,
    reason = "every function here panics to say what it found"
)]

mod damage;
mod decode;

pub use damage::a_damaged_log_opens_the_same_way_twice;
pub use decode::{a_document_decodes_only_from_its_canonical_bytes, decodes_only_what_is_canonical};
