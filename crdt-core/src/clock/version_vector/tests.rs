use alloc::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::laws::{arb_dot, check_laws};

proptest! {
    #[test]
    fn it_is_a_lattice(
        a in vec(arb_dot(), 0..6).prop_map(VersionVector::from_iter),
        b in vec(arb_dot(), 0..6).prop_map(VersionVector::from_iter),
        c in vec(arb_dot(), 0..6).prop_map(VersionVector::from_iter),
    ) {
        check_laws(&a, &b, &c)?;
    }

    #[test]
    fn it_keeps_the_maximum_per_replica(dots in vec(arb_dot(), 0..20)) {
        let mut vector = VersionVector::new();
        let mut naive = BTreeMap::<ReplicaId, u64>::new();
        for dot in dots {
            let slot = naive.entry(dot.replica).or_default();
            prop_assert_eq!(vector.advance(dot), dot.counter() > *slot);
            *slot = dot.counter().max(*slot);
            prop_assert!(vector.contains(dot));
        }
        prop_assert_eq!(vector.len(), naive.len());
        prop_assert!(vector.iter().eq(naive));
    }
}

#[cfg(feature = "serde")]
#[test]
fn only_its_own_encoding_is_read() {
    let id = |byte| ReplicaId::from_bytes([byte; 16]);
    let vector: VersionVector =
        [(2, 7), (1, 5)].into_iter().filter_map(|(r, n)| Dot::new(id(r), n)).collect();
    let json = serde_json::to_string(&vector).unwrap();
    let (a, b) = (id(1), id(2));
    assert_eq!(json, alloc::format!(r#"[["{a}",5],["{b}",7]]"#));
    assert_eq!(serde_json::from_str::<VersionVector>(&json).unwrap(), vector);
    for refused in [
        alloc::format!(r#"[["{b}",7],["{a}",5]]"#),
        alloc::format!(r#"[["{a}",5],["{a}",7]]"#),
        alloc::format!(r#"[["{a}",0]]"#),
    ] {
        assert!(serde_json::from_str::<VersionVector>(&refused).is_err(), "{refused}");
    }
}
