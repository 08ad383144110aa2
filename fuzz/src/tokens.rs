//! What clients bring back.

use conflict_store::{Seen, Siblings, Token, TokenKey, TokenScope, Tokens};
use crdt_core::{Limits, codec};

/// Foreign tokens are refused. Foreign bytes of a token's payload or of siblings are refused, or are the one encoding
/// of what they say. What was sealed is opened again, but not once a digit of it was changed.
pub fn a_token_opens_only_as_it_was_sealed(bytes: &[u8]) {
    let tokens = Tokens::new(TokenKey::new(&[7; 32]));
    let scope = TokenScope { cluster: b"shop", collection: b"carts", key: b"ann" };
    if let Ok(token) = core::str::from_utf8(bytes).unwrap_or_default().parse::<Token>() {
        assert!(tokens.open(scope, &token).is_err(), "nobody guesses a code");
    }
    if let Ok(siblings) = codec::from_bytes::<Siblings<String>>(bytes, &Limits::default()) {
        assert_eq!(codec::to_bytes(&siblings), bytes);
    }
    let Ok(seen) = Seen::decode(bytes) else {
        return;
    };
    assert_eq!(seen.encode(), bytes);
    let Ok(token) = tokens.seal(scope, &seen) else {
        return;
    };
    assert_eq!(tokens.open(scope, &token).as_ref(), Ok(&seen));
    assert!(tokens.open(TokenScope { key: b"bob", ..scope }, &token).is_err());
    let text = token.to_string();
    let turned = usize::from(bytes.first().copied().unwrap_or(0)) % text.len();
    let other = if text.as_bytes()[turned] == b'0' { "1" } else { "0" };
    let turned = format!("{}{other}{}", &text[..turned], &text[turned + 1..]);
    assert!(turned.parse().map_or(true, |token: Token| tokens.open(scope, &token).is_err()));
}
