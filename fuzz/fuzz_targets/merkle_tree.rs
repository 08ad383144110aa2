//! What became of a tree, against the items it should hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_tree_says_what_its_items_say(bytes);
});
