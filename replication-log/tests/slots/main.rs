//! What a leader keeps for its followers, how long, and how it knows how far behind they are.

#[path = "../common/mod.rs"]
mod common;

mod bootstrap;
mod bytes;
mod crash;
mod disk;
mod faults;
mod format;
mod lag;
mod load;
mod model;
mod shared;
mod tools;
