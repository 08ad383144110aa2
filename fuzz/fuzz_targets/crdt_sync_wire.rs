//! A message between nodes from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_message_decodes_only_from_its_one_frame(bytes);
});
