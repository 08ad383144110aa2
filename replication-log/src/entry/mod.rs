//! What records mean to those who replay them: bytes of pages, or changes to rows.

pub mod logical;
pub mod physical;
