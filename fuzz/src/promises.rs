//! All promises by the names of their targets.

use std::sync::LazyLock;

type Promise = fn(&[u8]);

/// One program tries all of them in turn: to link one for each takes longer than to run it for some seconds.
const PROMISES: &[(&str, Promise)] = &[
    ("ack_policy", |bytes| {
        if let Ok(text) = str::from_utf8(bytes) {
            crate::a_text_is_an_acknowledgement_policy_or_is_refused(text);
        }
    }),
    ("conflict_store_decode", |bytes| {
        crate::a_document_decodes_only_from_its_canonical_bytes(bytes);
        crate::a_snapshot_imports_only_as_what_it_exports(bytes);
    }),
    ("conflict_store_histories", crate::stores_say_what_follows_from_the_versions_they_know),
    ("conflict_store_tokens", crate::a_token_opens_only_as_it_was_sealed),
    ("crdt_core_decode", crate::a_state_decodes_only_from_its_canonical_bytes),
    ("crdt_core_deltas", crate::a_delta_is_exactly_what_the_receiver_lacks),
    ("crdt_core_histories", crate::a_set_says_what_a_model_says_that_never_forgets),
    ("crdt_sync_session_tokens", crate::a_session_token_is_believed_only_as_a_member_made_it),
    ("crdt_sync_wire", crate::a_message_decodes_only_from_its_one_frame),
    ("engine_checkpoint", crate::a_node_opens_from_a_changed_checkpoint_whole_or_not_at_all),
    ("engine_frames", crate::what_one_peer_says_does_not_cut_off_the_other),
    ("layout_decode", crate::a_layout_decodes_only_from_its_canonical_bytes),
    ("merkle_checkpoint", crate::a_checkpoint_loads_only_from_its_one_encoding),
    ("merkle_session", crate::a_session_ends_whatever_the_peer_says),
    ("merkle_tree", crate::a_tree_says_what_its_items_say),
    ("quorum_expressions", |bytes| {
        if let Ok(text) = str::from_utf8(bytes) {
            crate::a_text_is_a_quorum_system_or_is_refused(text);
        }
    }),
    ("range_session", crate::a_range_session_ends_whatever_the_peer_says),
    ("replication_log_calls", crate::a_log_recovers_to_a_prefix_of_what_was_appended),
    ("replication_log_entries", crate::an_entry_decodes_only_from_its_one_encoding),
    ("replication_log_open", crate::a_damaged_log_opens_the_same_way_twice),
    ("replication_log_pages", crate::a_forged_table_never_goes_further_than_an_error),
    ("replication_log_wire", crate::what_comes_on_the_wire_is_a_batch_that_follows_or_nothing),
    ("single_leader_frames", crate::what_a_follower_and_its_leader_are_told_leaves_logs_that_open),
    ("sketch_decode", crate::cells_give_away_no_more_than_they_are),
    ("slots_decode", crate::slots_decode_only_from_their_one_encoding),
];

/// Checks the promise of the target that `FUZZ_PROMISE` names.
pub fn what_the_environment_names(bytes: &[u8]) {
    static NAMED: LazyLock<Promise> = LazyLock::new(|| {
        let name = std::env::var("FUZZ_PROMISE").expect("FUZZ_PROMISE names a target");
        let (_, promise) = PROMISES.iter().find(|(other, _)| *other == name).expect("a target of this name");
        *promise
    });
    (*NAMED)(bytes);
}
