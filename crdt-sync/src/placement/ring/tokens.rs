//! Positions on the circle.

use alloc::vec;
use alloc::vec::Vec;

use crdt_core::digest_of;

use super::super::member::Members;
use crate::node::NodeId;

/// Tokens for each unit of weight: with fewer, the neighbours of a node that leaves get unequal parts of its load.
const TOKENS: u16 = 128;

/// All tokens by position, each with the place of its node among the members.
pub(super) struct Circle {
    tokens: Vec<(u64, u8)>,
    nodes: usize,
}

impl Circle {
    pub(super) fn new(members: &Members) -> Self {
        let mut tokens = Vec::new();
        for (place, member) in (0..=u8::MAX).zip(members.iter()) {
            tokens.extend((0..TOKENS * member.weight).map(|number| (token(member.node, number), place)));
        }
        tokens.sort_unstable();
        Self { tokens, nodes: members.iter().len() }
    }

    /// The nodes that follow the partition on the circle, each once.
    pub(super) fn order(&self, partition: u16) -> Vec<u8> {
        let at = self.tokens.partition_point(|(position, _)| *position < position_of(partition));
        let (before, after) = self.tokens.split_at(at);
        let mut met = vec![false; self.nodes];
        let mut order = Vec::with_capacity(self.nodes);
        for (_, place) in after.iter().chain(before) {
            if !core::mem::replace(&mut met[usize::from(*place)], true) {
                order.push(*place);
                if order.len() == self.nodes {
                    break;
                }
            }
        }
        order
    }
}

fn token(node: NodeId, number: u16) -> u64 {
    let mut bytes = [0; 40];
    bytes[..22].copy_from_slice(b"crdt-sync ring token 1");
    bytes[22..38].copy_from_slice(node.as_bytes());
    bytes[38..].copy_from_slice(&number.to_le_bytes());
    position(&bytes)
}

fn position_of(partition: u16) -> u64 {
    let mut bytes = [0; 28];
    bytes[..26].copy_from_slice(b"crdt-sync ring partition 1");
    bytes[26..].copy_from_slice(&partition.to_le_bytes());
    position(&bytes)
}

#[expect(clippy::cast_possible_truncation, reason = "half of a digest is a position")]
fn position(bytes: &[u8]) -> u64 {
    digest_of(bytes) as u64
}
