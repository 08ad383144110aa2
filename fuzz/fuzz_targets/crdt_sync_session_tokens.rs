//! A session's token, or what is in it, from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_session_token_is_believed_only_as_a_member_made_it(bytes);
});
