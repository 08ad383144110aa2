//! Everything that is promised of the crate, a topic per module.
//!
//! It is one program: to link three dozen takes longer than to run them.

mod common;
#[cfg(feature = "serde")]
#[path = "common/golden.rs"]
mod exact;
#[cfg(feature = "serde")]
#[path = "common/hostile.rs"]
mod hostile;
#[path = "common/orders.rs"]
mod orders;

mod baseline_lessons;
mod bounded_counter_lessons;
mod compose_lessons;
mod counter_lessons;
mod flag_lessons;
mod g_set_oracle;
mod golden;
mod golden_maps;
mod golden_small;
mod hostile_bytes;
mod hostile_lengths;
mod hostile_maps;
mod hostile_maps_memory;
mod hostile_small;
mod journal_lessons;
mod json;
mod laws;
mod laws_maps;
mod laws_small;
mod lww_map_lessons;
mod or_map_lessons;
mod or_map_oracle;
mod or_set_lessons;
mod or_set_oracle;
mod peers_lessons;
mod register_kin_lessons;
mod register_lessons;
mod replica_lessons;
mod reset_counter_lessons;
mod reset_counter_oracle;
mod rw_set_forgets;
mod set_kin_lessons;
mod small_oracle;
