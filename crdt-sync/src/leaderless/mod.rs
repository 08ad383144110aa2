//! Leaderless: the owners of a key take its writes in any order, and nobody leads.

mod anti_entropy;
