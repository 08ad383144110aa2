use alloc::format;

use crate::dotted::{Causal, CausalDigest, DotFun, DotMap, DotSet};
use crate::{CausalContext, Crdt, DeltaCrdt, Dot, ReplicaId};

type Elements = Causal<DotMap<String, DotSet>>;

const A: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";

fn dot(counter: u64) -> Dot {
    Dot::new(ReplicaId::from_bytes([0xaa; 16]), counter).unwrap()
}

fn json_dot(counter: u64) -> String {
    format!(r#"{{"replica":"{A}","counter":{counter}}}"#)
}

#[test]
fn what_is_written_is_read_back() {
    let mut set = DotMap::new();
    set.add(dot(1), "x".to_owned());
    let set = Causal::delta(set, CausalContext::from(dot(3)));
    let json = serde_json::to_string(&set).unwrap();
    let expected = format!(r#"{{"store":[["x",[{}]]],"context":[["{A}",[[0,0],[0,0]]]]}}"#, json_dot(1));
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_str::<Elements>(&json).unwrap(), set);

    let digest = set.digest();
    let json = serde_json::to_string(&digest).unwrap();
    assert_eq!(serde_json::from_str::<CausalDigest>(&json).unwrap(), digest);

    let register = Causal::delta(DotFun::from_iter([(dot(1), 7), (dot(2), 8)]), CausalContext::new());
    let json = serde_json::to_string(&register).unwrap();
    assert_eq!(serde_json::from_str::<Causal<DotFun<u8>>>(&json).unwrap(), register);
    assert!(serde_json::from_str::<Elements>(r#"{"store":[],"context":[]}"#).unwrap().is_bottom());
}

#[test]
fn every_prefix_of_a_valid_text_is_refused() {
    let mut set = DotMap::new();
    set.add(dot(1), "x".to_owned());
    let json = serde_json::to_string(&Causal::delta(set, CausalContext::new())).unwrap();
    for end in 0..json.len() {
        assert!(serde_json::from_str::<Elements>(&json[..end]).is_err());
    }
}

#[test]
fn stores_that_break_a_rule_are_refused() {
    let (one, two) = (json_dot(1), json_dot(2));
    let context = format!(r#"[["{A}",[[0,1]]]]"#);
    let whole = |store: &str| format!(r#"{{"store":{store},"context":{context}}}"#);
    assert!(serde_json::from_str::<Elements>(&whole(&format!(r#"[["x",[{one}]],["y",[{two}]]]"#))).is_ok());
    for (reason, store) in [
        ("keys out of order", format!(r#"[["y",[{one}]],["x",[{two}]]]"#)),
        ("a key twice", format!(r#"[["x",[{one}]],["x",[{two}]]]"#)),
        ("a key without dots", r#"[["x",[]]]"#.to_owned()),
        ("dots out of order", format!(r#"[["x",[{two},{one}]]]"#)),
        ("a dot twice under a key", format!(r#"[["x",[{one},{one}]]]"#)),
        ("a dot under two keys", format!(r#"[["x",[{one}]],["y",[{one}]]]"#)),
        ("a dot outside the context", format!(r#"[["x",[{}]]]"#, json_dot(3))),
        ("counter 0", format!(r#"[["x",[{}]]]"#, json_dot(0))),
    ] {
        assert!(serde_json::from_str::<Elements>(&whole(&store)).is_err(), "{reason}");
    }
    let unknown_field = format!(r#"{{"store":[],"context":{context},"tombstones":[]}}"#);
    assert!(serde_json::from_str::<Elements>(&unknown_field).is_err());
}

#[test]
fn a_flag_with_a_dot_twice_is_refused() {
    let one = json_dot(1);
    assert!(serde_json::from_str::<DotSet>(&format!("[{one},{}]", json_dot(2))).is_ok());
    assert!(serde_json::from_str::<DotSet>(&format!("[{one},{one}]")).is_err());
}

#[test]
fn a_register_with_a_dot_twice_is_refused() {
    let one = json_dot(1);
    for values in [format!("[[{one},7],[{one},7]]"), format!("[[{},8],[{one},7]]", json_dot(2))] {
        assert!(serde_json::from_str::<DotFun<u8>>(&values).is_err(), "{values}");
    }
}
