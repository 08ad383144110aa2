//! A checkpoint of an engine whose bytes were changed.
#![no_main]

libfuzzer_sys::fuzz_target!(|edits: &[u8]| {
    fuzz::a_node_opens_from_a_changed_checkpoint_whole_or_not_at_all(edits);
});
