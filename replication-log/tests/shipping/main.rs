//! Shipping a log to followers: what a leader and its followers owe each other.

mod policies;
