//! The keys of one log in etcd, and what they hold.
//!
//! | key | value | lives |
//! |---|---|---|
//! | `PREFIX/grant` | the number of the newest grant | for ever |
//! | `PREFIX/leader` | `GRANT NODE`: who leads | as long as its lease |
//! | `PREFIX/address` | `GRANT ADDRESS`: where clients find it | as long as the same lease |
//! | `PREFIX/reserved` | `NODE`: who alone may be granted the next one | as long as a lease |

use crdt_sync::NodeId;
use crdt_sync::failover::{Grant, Leader, Tenure};

/// The names of the keys.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) grant: String,
    pub(crate) leader: String,
    pub(crate) address: String,
    pub(crate) reserved: String,
}

impl Keys {
    pub(crate) fn under(prefix: &str) -> Self {
        let key = |name| format!("{}/{name}", prefix.trim_end_matches('/'));
        Self {
            grant: key("grant"),
            leader: key("leader"),
            address: key("address"),
            reserved: key("reserved"),
        }
    }
}

pub(crate) fn tenure_to_text(tenure: Tenure) -> String {
    format!("{} {}", tenure.grant.number(), tenure.holder)
}

pub(crate) fn tenure_of(value: &[u8]) -> Option<Tenure> {
    let (grant, holder) = str::from_utf8(value).ok()?.split_once(' ')?;
    Some(Tenure { holder: node_of(holder.as_bytes())?, grant: grant_of(grant.as_bytes())? })
}

pub(crate) fn leader_to_text(leader: &Leader) -> String {
    format!("{} {}", leader.grant.number(), leader.address)
}

pub(crate) fn leader_of(value: &[u8]) -> Option<Leader> {
    let (grant, address) = str::from_utf8(value).ok()?.split_once(' ')?;
    Some(Leader { grant: grant_of(grant.as_bytes())?, address: address.into() })
}

pub(crate) fn grant_of(value: &[u8]) -> Option<Grant> {
    str::from_utf8(value).ok()?.parse().ok().and_then(Grant::new)
}

/// The node whose hexadecimal digits these are.
pub(crate) fn node_of(value: &[u8]) -> Option<NodeId> {
    let digits = str::from_utf8(value).ok().filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(NodeId::from_u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_refused() {
        let tenure = Tenure { holder: NodeId::from_u128(0xfeed), grant: Grant::new(7).unwrap() };
        let text = tenure_to_text(tenure);
        assert_eq!(text, format!("7 {:0>32}", "feed"));
        assert_eq!(tenure_of(text.as_bytes()), Some(tenure));
        let leader = Leader { grant: tenure.grant, address: "db 7:7400".into() };
        assert_eq!(leader_of(leader_to_text(&leader).as_bytes()), Some(leader));
        for wrong in
            ["", "7", "7 ", "7 feed", "x 00feed000000000000000000000000000", "4294967296 x", "\u{ff}"]
        {
            assert_eq!(tenure_of(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(grant_of(b"4294967296"), None);
    }
}
