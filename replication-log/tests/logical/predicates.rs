//! Lessons on predicates: three-valued logic, what is not told, and limits.

use replication_log::{
    entry::logical::{Cell, ColumnId, Comparison, Predicate, PredicateError, Row, Value},
    limits::{MAX_PREDICATE_DEPTH, MAX_PREDICATE_NODES},
};

use super::{NAME, NOTE, PRICE};

fn price(comparison: Comparison, value: i64) -> Predicate {
    Predicate::compare(PRICE, comparison, value)
}

#[test]
fn every_comparison_means_what_it_is_called() {
    use Comparison::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
    let expected = [
        (Equal, [false, true, false]),
        (NotEqual, [true, false, true]),
        (Less, [true, false, false]),
        (AtMost, [true, true, false]),
        (Greater, [false, false, true]),
        (AtLeast, [false, true, true]),
    ];
    for (comparison, expected) in expected {
        let passes = [9, 10, 11].map(|held: i64| price(comparison, 10).passes(&Row::new().with(PRICE, held)));
        assert_eq!(passes, expected, "{comparison:?}");
    }
}

#[test]
fn unknown_is_neither_true_nor_false_and_spreads_unless_the_other_side_decides() {
    let row = Row::new().with(PRICE, 10_i64).with(NOTE, Cell::Null);
    let (yes, no) = (price(Comparison::Equal, 10), price(Comparison::Equal, 11));
    let unknown = Predicate::compare(NOTE, Comparison::Equal, "fresh");
    let both = |a: &Predicate, b: &Predicate| a.clone().and(b.clone()).expect("small");
    let either = |a: &Predicate, b: &Predicate| a.clone().or(b.clone()).expect("small");
    let not = |a: Predicate| a.not().expect("small");

    assert!(!unknown.passes(&row) && !not(unknown.clone()).passes(&row));
    assert!(!both(&yes, &unknown).passes(&row) && !not(both(&yes, &unknown)).passes(&row));
    assert!(!both(&no, &unknown).passes(&row) && not(both(&no, &unknown)).passes(&row));
    assert!(either(&yes, &unknown).passes(&row) && !not(either(&yes, &unknown)).passes(&row));
    assert!(!either(&no, &unknown).passes(&row) && !not(either(&no, &unknown)).passes(&row));
    assert!(Predicate::is_null(NOTE).passes(&row) && !Predicate::is_null(PRICE).passes(&row));
}

#[test]
fn what_is_not_told_is_not_null() {
    let told = Row::new().with(PRICE, 10_i64);
    assert_eq!(Predicate::is_null(NOTE).passes_partial(&told), None, "it may or may not be");
    assert!(Predicate::is_null(NOTE).passes(&told), "a whole row without it has no such column");
    let cheap_or = price(Comparison::Less, 100).or(Predicate::is_null(NOTE)).expect("small");
    assert_eq!(cheap_or.passes_partial(&told), Some(true), "whatever the note is");
    let dear_and = price(Comparison::Greater, 100).and(Predicate::is_null(NOTE)).expect("small");
    assert_eq!(dear_and.passes_partial(&told), Some(false), "whatever the note is");
    let cheap_and = price(Comparison::Less, 100).and(Predicate::is_null(NOTE)).expect("small");
    assert_eq!(cheap_and.passes_partial(&told), None);
}

#[test]
fn a_predicate_means_the_same_after_a_column_was_widened() {
    let compare = |value: Value| Predicate::compare(NAME, Comparison::Equal, value);
    let holds = |predicate: &Predicate, value: Value| predicate.passes(&Row::new().with(NAME, value));
    assert!(holds(&compare(Value::Bool(true)), Value::I64(1)));
    assert!(holds(&compare(Value::Timestamp(5)), Value::I64(5)));
    assert!(holds(&compare(Value::from("milk")), Value::Bytes(b"milk".to_vec())));
    assert!(!holds(&compare(Value::I64(1)), Value::from(1.0)), "floats compare with floats only");
    assert!(!holds(&compare(Value::I64(1)).not().expect("small"), Value::from(1.0)), "it is unknown");
    let nan = Predicate::compare(NAME, Comparison::Greater, f64::INFINITY);
    assert!(holds(&nan, Value::from(f64::NAN)), "floats have a total order");
}

#[test]
fn predicates_have_limits() {
    let mut deep = Predicate::is_null(NOTE);
    for _ in 1..MAX_PREDICATE_DEPTH {
        deep = deep.not().expect("within the limit");
    }
    assert_eq!(deep.not(), Err(PredicateError::TooDeep { limit: MAX_PREDICATE_DEPTH }));

    let mut large = Predicate::is_null(ColumnId(0));
    for _ in 0..9 {
        large = large.clone().and(large).expect("1023 nodes");
    }
    let refused = large.and(Predicate::is_null(NOTE));
    assert_eq!(refused, Err(PredicateError::TooLarge { limit: MAX_PREDICATE_NODES }));
}
