//! What a token is good for, one lesson per test.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use conflict_store::{
    Document, KeepAll, OpenTokenError, Seen, Siblings, Token, TokenKey, TokenScope, Tokens,
};
use crdt_core::{CausalContext, Crdt, ReplicaId, Writer};

const SCOPE: TokenScope<'_> = TokenScope { cluster: b"shop", collection: b"carts", key: b"ann" };

fn tokens() -> Tokens {
    Tokens::new(TokenKey::new(&[7; 32]))
}

fn me() -> Writer<'static> {
    Writer::unchecked(ReplicaId::from_u128(1))
}

/// What a node does with a write: nothing is touched unless the token is believed.
fn write(
    siblings: &mut Siblings<&'static str>,
    tokens: &Tokens,
    scope: TokenScope<'_>,
    token: &Token,
    value: &'static str,
) -> Result<Token, OpenTokenError> {
    let seen = tokens.open(scope, token)?.into_context()?;
    let written = siblings.write(me(), &seen, value).unwrap();
    Ok(tokens.seal(scope, &Seen::Context(written.context().clone())).unwrap())
}

fn read(siblings: &Siblings<&'static str>, tokens: &Tokens) -> Token {
    tokens.seal(SCOPE, &Seen::Context(siblings.context().clone())).unwrap()
}

#[test]
fn a_client_writes_on_what_it_read_and_then_on_what_it_wrote() {
    let (mut cart, tokens) = (Siblings::default(), tokens());
    let nothing_there = read(&cart, &tokens);
    let first = write(&mut cart, &tokens, SCOPE, &nothing_there, "milk").unwrap();
    let second = write(&mut cart, &tokens, SCOPE, &first, "milk, rice").unwrap();
    assert!(cart.values().copied().eq(["milk, rice"]));

    // Somebody who sleeps on an old token overwrites what it saw, and not what came after.
    write(&mut cart, &tokens, SCOPE, &first, "milk, salt").unwrap();
    assert!(cart.values().copied().eq(["milk, rice", "milk, salt"]));
    write(&mut cart, &tokens, SCOPE, &second, "milk, rice, tea").unwrap();
    assert!(cart.values().copied().eq(["milk, salt", "milk, rice, tea"]));
}

#[test]
fn a_token_is_good_at_every_node_of_the_cluster() {
    let mut here = Siblings::default();
    here.write(me(), &CausalContext::new(), "milk").unwrap();
    let token = read(&here, &tokens());

    let mut there = Siblings::default();
    let seen = tokens().open(SCOPE, &token).unwrap().into_context().unwrap();
    there.write(Writer::unchecked(ReplicaId::from_u128(2)), &seen, "rice").unwrap();
    assert!(there.merged(&here).values().copied().eq(["rice"]), "milk was seen, though not there");
}

#[test]
fn whatever_is_wrong_with_a_token_nothing_is_written_and_nothing_lost() {
    let (mut cart, tokens) = (Siblings::default(), tokens());
    cart.write(me(), &CausalContext::new(), "milk").unwrap();
    let token = read(&cart, &tokens);
    let before = cart.clone();
    let mut refused = |tokens: &Tokens, scope: TokenScope<'_>, bytes: Vec<u8>| {
        let error = write(&mut cart, tokens, scope, &Token::from(bytes), "rice").unwrap_err();
        assert_eq!(cart, before);
        error
    };

    let intact = token.as_bytes().to_vec();
    let tampered = intact.iter().rev().copied().collect();
    assert!(matches!(refused(&tokens, SCOPE, tampered), OpenTokenError::UnsupportedVersion { .. }));
    let mut tampered = intact.clone();
    tampered[30] ^= 1;
    assert_eq!(refused(&tokens, SCOPE, tampered), OpenTokenError::NotAuthentic);
    assert_eq!(refused(&tokens, SCOPE, intact[..20].to_vec()), OpenTokenError::Truncated { found: 20 });
    assert_eq!(refused(&tokens, SCOPE, Vec::new()), OpenTokenError::Truncated { found: 0 });
    assert_eq!(refused(&tokens, SCOPE, intact[..60].to_vec()), OpenTokenError::NotAuthentic);

    let bobs = TokenScope { key: b"bob", ..SCOPE };
    assert_eq!(refused(&tokens, bobs, intact.clone()), OpenTokenError::Elsewhere);
    let wishes = TokenScope { collection: b"wishes", ..SCOPE };
    assert_eq!(refused(&tokens, wishes, intact.clone()), OpenTokenError::Elsewhere);
    let other_cluster = Tokens::new(TokenKey::new(&[8; 32]));
    assert_eq!(refused(&other_cluster, SCOPE, intact.clone()), OpenTokenError::NotAuthentic);
    let of_versions = tokens.seal(SCOPE, &Seen::Versions(Vec::new())).unwrap();
    let of_versions = of_versions.as_bytes().to_vec();
    assert!(matches!(refused(&tokens, SCOPE, of_versions), OpenTokenError::WrongKind { .. }));

    write(&mut cart, &tokens, SCOPE, &token, "rice").unwrap();
    assert!(cart.values().copied().eq(["rice"]));
}

#[test]
fn nobody_can_claim_to_have_seen_what_they_have_not() {
    let (mut cart, tokens) = (Siblings::default(), tokens());
    cart.write(me(), &CausalContext::new(), "milk").unwrap();
    let token = read(&cart, &tokens);
    cart.write(me(), &CausalContext::new(), "unseen").unwrap();

    // The payload is in the clear: "replica 1, counters 1 to 1". Made "1 to 2", it would delete "unseen".
    let mut claimed = token.as_bytes().to_vec();
    let more = claimed.len() - 33;
    assert_eq!(claimed[more], 0);
    claimed[more] = 1;
    let refused = write(&mut cart, &tokens, SCOPE, &Token::from(claimed), "mine").unwrap_err();
    assert_eq!(refused, OpenTokenError::NotAuthentic);
    assert!(cart.values().copied().eq(["milk", "unseen"]));
}

#[test]
fn after_the_key_was_rotated_twice_a_client_reads_again() {
    let mut cart = Siblings::default();
    cart.write(me(), &CausalContext::new(), "milk").unwrap();
    let key = |n| TokenKey::new(&[n; 32]);
    let token = read(&cart, &Tokens::new(key(1)));
    let once = Tokens::new(key(2)).accepting(key(1));
    let twice = Tokens::new(key(3)).accepting(key(2));

    let refused = write(&mut cart, &twice, SCOPE, &token, "rice").unwrap_err();
    assert_eq!(refused, OpenTokenError::NotAuthentic);
    let token = write(&mut cart, &once, SCOPE, &token, "rice").unwrap();
    write(&mut cart, &twice, SCOPE, &token, "rice, tea").unwrap();
    assert!(cart.values().copied().eq(["rice, tea"]));
}

#[test]
fn a_conflict_can_wait_for_somebody_to_decide() {
    let tokens = tokens();
    let mut document = Document::<Vec<u8>>::default();
    for title in ["Hello", "Bonjour"] {
        document.put_branch(SCOPE.key, None, Some(title.into()), None);
    }
    let reading = document.read(SCOPE.key, &KeepAll).unwrap();
    assert_eq!(reading.conflicts.len(), 1);
    let text = tokens.seal(SCOPE, &Seen::Versions(reading.seen)).unwrap().to_string();

    // A day later; meanwhile a third title has come in, which nobody has looked at.
    document.put_branch(SCOPE.key, None, Some("Hola".into()), None);
    let seen = tokens.open(SCOPE, &text.parse().unwrap()).unwrap().into_versions().unwrap();
    document.supersede(SCOPE.key, &seen, Some("Hello, bonjour".into()), None).unwrap();
    let titles: Vec<_> = document.live_leaves().filter_map(|leaf| leaf.body().cloned()).collect();
    assert_eq!(titles.len(), 2);
    assert!(titles.contains(&b"Hola".to_vec()), "what was not seen was not decided on");
}
