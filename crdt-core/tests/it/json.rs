//! Any serde format works, and is checked as strictly as the canonical one.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use crdt_core::{GCounter, GSet, Hlc, LwwRegister, OrSet, PnCounter, ReplicaId, Stamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::common::by;

const A: ReplicaId = ReplicaId::from_u128(1);
const B: ReplicaId = ReplicaId::from_u128(2);

fn assert_written<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, json: &str) {
    let json: String = json.split_whitespace().collect();
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value);
}

fn refusal<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
    serde_json::from_str::<T>(json).unwrap_err().to_string()
}

#[test]
fn values_are_readable() {
    let mut likes = GCounter::default();
    likes.increment(by(A), 3).unwrap();
    assert_written(&likes, r#"[["00000000-0000-0000-0000-000000000001", 3]]"#);

    let mut stock = PnCounter::default();
    stock.decrement(by(B), 2).unwrap();
    assert_written(
        &stock,
        r#"{"increments": [], "decrements": [["00000000-0000-0000-0000-000000000002", 2]]}"#,
    );

    let set: GSet<u8> = [3, 1].into_iter().collect();
    assert_written(&set, "[1, 3]");

    let mut list = OrSet::default();
    list.add_all(by(A), ["milk", "eggs", "milk"].map(String::from)).unwrap();
    assert_written(
        &list,
        r#"{
            "store":   [["00000000-0000-0000-0000-000000000001", [[1, 1]], ["eggs", "milk"]]],
            "context": [["00000000-0000-0000-0000-000000000001", [[0, 2]]]]
        }"#,
    );

    let stamp = Stamp { time: Hlc::new(5, 1), replica: A };
    let title = LwwRegister::default().set(stamp, "Draft".to_string()).unwrap();
    assert_written(
        &title,
        r#"{
            "stamp": {
                "time": {"millis": 5, "counter": 1},
                "replica": "00000000-0000-0000-0000-000000000001"
            },
            "content": {"Live": "Draft"}
        }"#,
    );
    assert_written(&LwwRegister::<String>::default(), "null");
}

#[test]
fn unreachable_states_are_refused() {
    let id = r#""00000000-0000-0000-0000-000000000001""#;
    let counter = |entries: &str| refusal::<GCounter>(entries);
    assert!(counter(&format!("[[{id}, 0]]")).contains("nonzero"));
    assert!(counter(&format!("[[{id}, 1], [{id}, 2]]")).contains("strictly ascending"));
    assert!(refusal::<GSet<u8>>("[1, 1]").contains("out of order"));
    assert!(refusal::<PnCounter>(r#"{"increments": [], "decrements": [], "more": 1}"#).contains("more"));

    let set = |live: &str, context: &str| {
        refusal::<OrSet<u8>>(&format!(r#"{{"store": [[{id}, {live}]], "context": [[{id}, {context}]]}}"#))
    };
    assert!(set("[[1, 0]], [7]", "[[0, 0]]").contains("not in its context"));
    assert!(set("[[0, 0]], []", "[[0, 0]]").contains("fewer elements than live dots"));
    assert!(set("[], []", "[[0, 0]]").contains("at least one"));
    assert!(set("[[0, 0]], [7]", "[[0, 18446744073709551615]]").contains("last counter"));
    assert!(set("[[18446744073709551615, 0]], [7]", "[[0, 1]]").contains("last counter"));
}
