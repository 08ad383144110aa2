//! The leaderless topology: any replica takes a write, a quorum of them makes it last.
//!
//! Keys have N *primaries* each, the nodes where everybody looks for them, and *fallbacks*, which stand in for a
//! primary that does not answer. One node, the *coordinator*, carries out an operation: it tells or asks the others,
//! counts who answered, and reports what was reached in truth. The theory is that of Amazon's Dynamo ("Dynamo:
//! Amazon's Highly Available Key-value Store", 2007).

pub mod coordinate;
