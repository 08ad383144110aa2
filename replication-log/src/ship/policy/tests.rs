use alloc::{format, string::String, string::ToString, vec, vec::Vec};

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<AckPolicy<String>, ParsePolicyError> {
    text.parse()
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn the_well_known_texts_are_read() {
    let first = |count, names: &[&str]| Ok(AckPolicy::first(count, named(names)).expect("legal"));
    let any = |count, names: &[&str]| Ok(AckPolicy::any(count, named(names)).expect("legal"));
    assert_eq!(read("FIRST 2 (a, b, c)"), first(2, &["a", "b", "c"]));
    assert_eq!(read(" fIrSt 2(a ,b,c ) "), first(2, &["a", "b", "c"]));
    assert_eq!(read("2 (a, b)"), first(2, &["a", "b"]));
    assert_eq!(read("a, b"), first(1, &["a", "b"]));
    assert_eq!(read("\n"), Ok(AckPolicy::asynchronous()));
    assert_eq!(read("ANY 2 (node-1.eu, node_2, 3)"), any(2, &["node-1.eu", "node_2", "3"]));
    assert_eq!(read("ANY 1 (*)"), Ok(AckPolicy::semi_sync()));
    assert_eq!(read("*"), Ok(AckPolicy::first(1, Among::Everybody).expect("legal")));
    assert_eq!(read("all (*)"), Ok(AckPolicy::sync()));
    assert_eq!(read("ALL (b, a)"), Ok(AckPolicy::all(named(&["b", "a"])).expect("legal")));
}

#[test]
fn a_number_is_a_count_only_before_a_bracket() {
    assert_eq!(read("2, 3").map(|policy| policy.to_string()), Ok("FIRST 1 (2, 3)".into()));
    assert_eq!(read("2").map(|policy| policy.to_string()), Ok("FIRST 1 (2)".into()));
    assert_eq!(read("1 (2)").map(|policy| policy.to_string()), Ok("FIRST 1 (2)".into()));
}

#[test]
fn a_keyword_is_a_name_only_in_quotes() {
    for (text, at) in [("a, First", 3), ("ANY 1 (any)", 7), ("ALL (b, ALL)", 8)] {
        assert!(
            matches!(read(text), Err(ParsePolicyError::Keyword { at: found, .. }) if found == at),
            "{text}"
        );
    }
    assert_eq!(
        read("first, b"),
        Err(ParsePolicyError::Unexpected { at: 5, found: ',', expected: "how many followers" })
    );
    let quoted = read(r#""first", "ANY", firsts"#).expect("names");
    assert_eq!(quoted, AckPolicy::first(1, named(&["first", "ANY", "firsts"])).expect("legal"));
    assert_eq!(quoted.to_string(), r#"FIRST 1 ("first", "ANY", firsts)"#);
}

#[test]
fn in_quotes_everything_is_a_name() {
    let policy = read(r#"ANY 1 ("*", "", "a""b", "Ä, (b)")"#).expect("names");
    assert_eq!(policy.of(), &Among::Listed(named(&["*", "", "a\"b", "Ä, (b)"])));
    assert_eq!(read(r#"a, "b"#), Err(ParsePolicyError::OpenQuote { at: 3 }));
    assert_eq!(read(r#"a, "b"""#), Err(ParsePolicyError::OpenQuote { at: 3 }));
}

#[test]
fn names_are_taken_as_they_are_written() {
    assert_eq!(read("a, A"), Ok(AckPolicy::first(1, named(&["a", "A"])).expect("two names")));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let unexpected = |at, found, expected| Err(ParsePolicyError::Unexpected { at, found, expected });
    let end = |at, expected| Err(ParsePolicyError::End { at, expected });
    let policy = |at, error| Err(ParsePolicyError::Policy { at, error });
    assert_eq!(read("ANY x (a)"), unexpected(4, 'x', "how many followers"));
    assert_eq!(read("ANY 1 (a b)"), unexpected(9, 'b', "`,` or `)`"));
    assert_eq!(read("ANY 1 (*, a)"), unexpected(8, ',', "`)`"));
    assert_eq!(read("ANY 1 (a, *)"), unexpected(10, '*', "the name of a follower"));
    assert_eq!(read("ANY 1 ()"), unexpected(7, ')', "the name of a follower"));
    assert_eq!(read("a; b"), unexpected(1, ';', "`,` or the end"));
    assert_eq!(read("FIRST 2 (a, b) c"), unexpected(15, 'c', "`,` or the end"));
    assert_eq!(read("FIRST"), end(5, "how many followers"));
    assert_eq!(read("FIRST 2 (a, "), end(12, "the name of a follower"));
    assert_eq!(read("FIRST 2 (a"), end(10, "`,` or `)`"));
    assert_eq!(read("ANY 4294967296 (*)"), Err(ParsePolicyError::NumberTooLarge { at: 4 }));
    assert_eq!(read("ANY 0 (a)"), policy(4, PolicyError::CountsNobody));
    assert_eq!(read(" 0 (*)"), policy(1, PolicyError::CountsNobody));
    assert_eq!(read("3 (a, b)"), policy(0, PolicyError::CountsMoreThanListed { count: 3, listed: 2 }));
    assert_eq!(read("ANY 1 (a, b, a)"), policy(13, PolicyError::ListedTwice { place: 2 }));
}

#[test]
fn lists_are_bounded() {
    let text = |length: usize| (0..length).map(|number| format!("n{number}")).collect::<Vec<_>>().join(",");
    assert!(read(&text(MAX_FOLLOWERS)).is_ok());
    let too_many = PolicyError::TooManyListed { limit: MAX_FOLLOWERS };
    assert!(matches!(
        read(&text(MAX_FOLLOWERS + 1)),
        Err(ParsePolicyError::Policy { error, .. }) if error == too_many
    ));
    let numbers: Vec<usize> = (0..=MAX_FOLLOWERS).collect();
    assert_eq!(AckPolicy::any(1, numbers), Err(too_many));
    assert_eq!(AckPolicy::<u8>::any(1, []), Err(PolicyError::NobodyListed));
    assert_eq!(AckPolicy::<u8>::all([]), Err(PolicyError::NobodyListed));
}

#[test]
fn two_names_of_one_follower_are_refused() {
    let policy = read("ANY 2 (a, A)").expect("two names");
    let folded = policy.with_names(|name| Some(name.to_lowercase()));
    assert_eq!(folded, Err(NamesError::SameFollower { name: "A".into() }));
}

#[test]
fn who_decides_depends_on_who_is_there() {
    let candidates = [('a', true), ('b', false), ('c', true), ('d', true)];
    let jury = |policy: Result<AckPolicy<char>, PolicyError>| {
        let jury = policy.expect("legal").jury(&candidates).expect("somebody is asked");
        (jury.need.get(), jury.members)
    };
    assert_eq!(jury(AckPolicy::first(2, ['b', 'd', 'a', 'c'])), (2, vec!['d', 'a']));
    assert_eq!(jury(AckPolicy::first(2, Among::Everybody)), (2, vec!['a', 'c']), "by name");
    assert_eq!(jury(AckPolicy::first(2, ['b', 'c'])), (2, vec!['c']), "too few, so nothing");
    assert_eq!(jury(AckPolicy::any(2, ['b', 'c', 'x'])), (2, vec!['b', 'c']), "gone or not");
    assert_eq!(jury(AckPolicy::all(['a', 'x'])), (2, vec!['a']), "x never agrees");
    assert_eq!(jury(Ok(AckPolicy::sync())), (4, vec!['a', 'b', 'c', 'd']));
    assert_eq!(AckPolicy::<char>::sync().jury(&[]).map(|jury| jury.need.get()), Some(1));
    assert_eq!(AckPolicy::<char>::asynchronous().jury(&candidates), None);
}

fn policies() -> impl Strategy<Value = AckPolicy<String>> {
    let name = prop_oneof!["[a-c]{1,2}", "(?i)first|any|all|[0-9]", ".{0,4}", "[\"* (),]{0,4}"];
    let names =
        prop::collection::btree_set(name, 1..6).prop_map(|names| names.into_iter().collect::<Vec<_>>());
    (names, 0..6_u8, 1..9_u32).prop_map(|(names, kind, count)| {
        let most = u32::try_from(names.len()).expect("few");
        let (of, count) =
            if kind % 2 == 0 { (names.into(), count.min(most)) } else { (Among::Everybody, count) };
        let made = match kind / 2 {
            0 => AckPolicy::first(count, of),
            1 => AckPolicy::any(count, of),
            _ => AckPolicy::all(of),
        };
        made.expect("legal")
    })
}

proptest! {
    #[test]
    fn a_policy_is_read_as_it_was_written(policy in policies()) {
        let text = policy.to_string();
        prop_assert_eq!(read(&text), Ok(policy), "{}", text);
    }

    #[test]
    fn any_text_is_a_policy_or_is_refused(text in prop_oneof![".*", "(?i)((any|first|all|[0-9]|[ab\"*(), é]){0,12})"]) {
        match read(&text) {
            Ok(policy) => prop_assert_eq!(read(&policy.to_string()), Ok(policy)),
            Err(error) => prop_assert!(text.get(error.at()..).is_some(), "{} is no place in the text", error.at()),
        }
    }
}

proptest! {
    /// Those who can meet a policy are a jury of it while the others are away, and nobody else is.
    #[test]
    fn whoever_can_meet_a_policy_decides_while_the_others_are_away(
        need in 0_u32..5, listed in any::<Option<[bool; 6]>>(), there in any::<[bool; 6]>(),
    ) {
        let followers = [0, 1, 2, 3, 4, 5];
        let is_listed = |name: &usize| listed.is_none_or(|listed| listed[*name]);
        let names: Vec<usize> = followers.into_iter().filter(is_listed).collect();
        let of = || if listed.is_some() { Among::Listed(names.clone()) } else { Among::Everybody };
        let policies = [AckPolicy::any(need, of()), AckPolicy::first(need, of()), AckPolicy::all(of())];
        for policy in policies.into_iter().flatten() {
            let live: Vec<(usize, bool)> = followers.iter().map(|name| (*name, there[*name])).collect();
            let jury = policy.jury(&live).expect("somebody is asked");
            let agree = jury.members.iter().filter(|name| there[**name]).count();
            let met = agree >= usize::try_from(jury.need.get()).expect("few");
            prop_assert_eq!(policy.can_be_met_by(&followers, |name| there[*name]), met);
        }
    }
}
