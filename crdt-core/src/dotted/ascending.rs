//! Maps as sequences of pairs in strictly ascending key order.

use alloc::collections::BTreeMap;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes pairs rather than a serde map: formats such as JSON allow only strings as map keys.
pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
    map: &BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(map)
}

/// Deserialises what [`serialize`] wrote, and nothing else: a key out of order or
/// twice is refused. Memory grows with what arrives, whatever length the input claims.
pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(AscendingPairs(PhantomData))
}

struct AscendingPairs<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for AscendingPairs<K, V> {
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pairs of key and value, keys strictly ascending")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = seq.next_element::<(K, V)>()? {
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(A::Error::custom("keys are not strictly ascending"));
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}
