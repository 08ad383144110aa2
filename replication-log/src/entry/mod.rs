//! What records say: changes to rows that any schema version can follow.

pub mod logical;
