//! Promises that targets check, each a function of the fuzzer's bytes. All of them panic if the promise is broken:
//! that is what the fuzzer looks for.

#![expect(clippy::missing_panics_doc, reason = "every function here panics to say what it found")]

mod checkpoints;
mod cluster;
mod damage;
mod decode;
mod deltas;
mod engine;
mod entries;
mod following;
mod histories;
mod layouts;
mod logs;
mod merkle;
mod merkle_tree;
mod pages;
mod policies;
mod promises;
mod quorums;
mod ranges;
mod session_tokens;
mod shipping;
mod sketches;
mod slots;
mod stores;
mod subject;
mod tamper;
mod tokens;

pub use checkpoints::a_node_opens_from_a_changed_checkpoint_whole_or_not_at_all;
pub use damage::a_damaged_log_opens_the_same_way_twice;
pub use decode::{
    a_document_decodes_only_from_its_canonical_bytes, a_message_decodes_only_from_its_one_frame,
    a_snapshot_imports_only_as_what_it_exports, a_state_decodes_only_from_its_canonical_bytes,
};
pub use deltas::a_delta_is_exactly_what_the_receiver_lacks;
pub use engine::what_one_peer_says_does_not_cut_off_the_other;
pub use entries::an_entry_decodes_only_from_its_one_encoding;
pub use following::what_a_follower_and_its_leader_are_told_leaves_logs_that_open;
pub use histories::a_set_says_what_a_model_says_that_never_forgets;
pub use layouts::a_layout_decodes_only_from_its_canonical_bytes;
pub use logs::a_log_recovers_to_a_prefix_of_what_was_appended;
pub use merkle::a_session_ends_whatever_the_peer_says;
pub use merkle_tree::{a_checkpoint_loads_only_from_its_one_encoding, a_tree_says_what_its_items_say};
pub use pages::a_forged_table_never_goes_further_than_an_error;
pub use policies::a_text_is_an_acknowledgement_policy_or_is_refused;
pub use promises::what_the_environment_names;
pub use quorums::a_text_is_a_quorum_system_or_is_refused;
pub use ranges::a_range_session_ends_whatever_the_peer_says;
pub use session_tokens::a_session_token_is_believed_only_as_a_member_made_it;
pub use shipping::what_comes_on_the_wire_is_a_batch_that_follows_or_nothing;
pub use sketches::cells_give_away_no_more_than_they_are;
pub use slots::slots_decode_only_from_their_one_encoding;
pub use stores::stores_say_what_follows_from_the_versions_they_know;
pub use tokens::a_token_opens_only_as_it_was_sealed;
