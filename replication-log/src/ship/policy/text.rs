//! Policies as text.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::{self, Write as _};
use core::str::FromStr;

use super::{AckPolicy, Among, Need, ParsePolicyError, PolicyError};
use crate::limits::MAX_FOLLOWERS;

/// Words that are no names unless they stand in quotes, in upper or lower case.
const KEYWORDS: [&str; 3] = ["FIRST", "ANY", "ALL"];

/// Reads what `PostgreSQL` reads from `synchronous_standby_names`: `FIRST 2 (a, b, c)`, `ANY 1 (*)`,
/// `2 (a, b)` for `FIRST 2 (a, b)`, `a, b` for `FIRST 1 (a, b)`, `*` for `FIRST 1 (*)`, and the empty
/// text for asynchronous. `ALL (a, b)` and `ALL (*)` are ours, so that every policy has a text. O(length).
///
/// Keywords are read in upper and lower case. A name is made of letters, digits and `_ - . $`, or it stands
/// in double quotes, where `""` is one quote. A keyword is a name only in quotes, as there.
///
/// Where we differ: names are taken as they are written, while `PostgreSQL` compares them in any case; a caller
/// that wants this folds them in [`with_names`](AckPolicy::with_names). `"*"` in quotes is a follower called
/// `*`, not everybody. `*` stands alone, not at the end of a list. `all` is a keyword, too.
///
/// ```
/// use replication_log::ship::{AckPolicy, policy::ParsePolicyError};
///
/// let read = |text: &str| text.parse::<AckPolicy<String>>();
/// assert_eq!(read("a, b")?.to_string(), "FIRST 1 (a, b)");
/// assert_eq!(read("any 1 (*)")?, AckPolicy::semi_sync());
/// assert_eq!(read("")?, AckPolicy::asynchronous());
/// assert_eq!(read(r#"2 ("first", "say ""hi""")"#)?.to_string(), r#"FIRST 2 ("first", "say ""hi""")"#);
///
/// let error = read("ANY 2 a, b").unwrap_err();
/// assert_eq!(error, ParsePolicyError::Unexpected { at: 6, found: 'a', expected: "`(`" });
/// # Ok::<(), ParsePolicyError>(())
/// ```
impl FromStr for AckPolicy<String> {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        let mut parser = Parser { text, at: 0 };
        if parser.peek().is_none() {
            return Ok(Self::asynchronous());
        }
        let policy = parser.policy()?;
        match parser.peek() {
            None => Ok(policy),
            Some(_) => Err(parser.unexpected("`,` or the end")),
        }
    }
}

/// Everybody, or names with where they stand.
enum Names {
    Everybody,
    Listed(Vec<(usize, String)>),
}

struct Parser<'a> {
    text: &'a str,
    /// How much of the text has been read.
    at: usize,
}

impl Parser<'_> {
    fn policy(&mut self) -> Result<AckPolicy<String>, ParsePolicyError> {
        self.peek();
        let begin = self.at;
        let word = self.word();
        if word.eq_ignore_ascii_case("FIRST") {
            let (at, count) = self.count()?;
            return self.bracketed(Need::First(count), at);
        }
        if word.eq_ignore_ascii_case("ANY") {
            let (at, count) = self.count()?;
            return self.bracketed(Need::Any(count), at);
        }
        if word.eq_ignore_ascii_case("ALL") {
            return self.bracketed(Need::All, begin);
        }
        // A number is a count before a bracket, and a name elsewhere.
        let is_count = is_number(word) && self.peek() == Some('(');
        self.at = begin;
        if is_count {
            let (at, count) = self.count()?;
            return self.bracketed(Need::First(count), at);
        }
        let names = self.names()?;
        made(Need::First(1), begin, names)
    }

    fn bracketed(&mut self, need: Need, at: usize) -> Result<AckPolicy<String>, ParsePolicyError> {
        self.expect('(', "`(`")?;
        let names = self.names()?;
        let end = if matches!(names, Names::Everybody) { "`)`" } else { "`,` or `)`" };
        self.expect(')', end)?;
        made(need, at, names)
    }

    fn names(&mut self) -> Result<Names, ParsePolicyError> {
        if self.skip('*') {
            return Ok(Names::Everybody);
        }
        let mut names = [self.name()?].to_vec();
        while self.skip(',') {
            let name = self.name()?;
            if names.len() == MAX_FOLLOWERS {
                let error = PolicyError::TooManyListed { limit: MAX_FOLLOWERS };
                return Err(ParsePolicyError::Policy { at: name.0, error });
            }
            names.push(name);
        }
        Ok(Names::Listed(names))
    }

    fn name(&mut self) -> Result<(usize, String), ParsePolicyError> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let at = self.at;
        let word = self.word();
        if word.is_empty() {
            return Err(self.unexpected("the name of a follower"));
        }
        if is_keyword(word) {
            return Err(ParsePolicyError::Keyword { at, keyword: word.to_string() });
        }
        Ok((at, word.to_string()))
    }

    /// A name whose first quote is what comes next.
    fn quoted(&mut self) -> Result<(usize, String), ParsePolicyError> {
        let at = self.at;
        let mut name = String::new();
        loop {
            self.at += 1;
            let rest = self.rest();
            let part = rest.find('"').ok_or(ParsePolicyError::OpenQuote { at })?;
            name.push_str(&rest[..part]);
            self.at += part + 1;
            if !self.rest().starts_with('"') {
                return Ok((at, name));
            }
            name.push('"');
        }
    }

    /// A number, with where it stands.
    fn count(&mut self) -> Result<(usize, u32), ParsePolicyError> {
        self.peek();
        let at = self.at;
        let word = self.word();
        if is_number(word) {
            return word
                .parse()
                .map(|count| (at, count))
                .map_err(|_| ParsePolicyError::NumberTooLarge { at });
        }
        self.at = at;
        Err(self.unexpected("how many followers"))
    }

    fn word(&mut self) -> &str {
        let rest = &self.text[self.at..];
        let word = &rest[..rest.find(|letter| !in_name(letter)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// The next letter that is no white space, which is behind us then.
    fn peek(&mut self) -> Option<char> {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.rest().chars().next()
    }

    fn skip(&mut self, letter: char) -> bool {
        let found = self.peek() == Some(letter);
        if found {
            self.at += letter.len_utf8();
        }
        found
    }

    fn expect(&mut self, letter: char, expected: &'static str) -> Result<(), ParsePolicyError> {
        if self.skip(letter) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&mut self, expected: &'static str) -> ParsePolicyError {
        match self.peek() {
            Some(found) => ParsePolicyError::Unexpected { at: self.at, found, expected },
            None => ParsePolicyError::End { at: self.at, expected },
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }
}

/// The policy, or what is wrong with it: with one of the names, or with what stands at `at`.
fn made(need: Need, at: usize, names: Names) -> Result<AckPolicy<String>, ParsePolicyError> {
    let (places, of): (Vec<usize>, Among<String>) = match names {
        Names::Everybody => (Vec::new(), Among::Everybody),
        Names::Listed(names) => {
            let (places, names) = names.into_iter().unzip();
            (places, Among::Listed(names))
        }
    };
    AckPolicy::checked(need, of).map_err(|error| match error {
        PolicyError::ListedTwice { place } => ParsePolicyError::Policy { at: places[place], error },
        _ => ParsePolicyError::Policy { at, error },
    })
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

fn in_name(letter: char) -> bool {
    letter.is_alphanumeric() || "_-.$".contains(letter)
}

/// The canonical text: `FIRST 2 (a, "b c")`, with quotes only where a name needs them. What is written here is
/// read as the same policy, where names are text.
impl<N: fmt::Display> fmt::Display for AckPolicy<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.need {
            Need::Nobody => return Ok(()),
            Need::First(count) => write!(f, "FIRST {count} (")?,
            Need::Any(count) => write!(f, "ANY {count} (")?,
            Need::All => f.write_str("ALL (")?,
        }
        match &self.of {
            Among::Everybody => f.write_char('*')?,
            Among::Listed(names) => {
                for (place, name) in names.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { ", " })?;
                    write_name(f, &name.to_string())?;
                }
            }
        }
        f.write_char(')')
    }
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if !name.is_empty() && name.chars().all(in_name) && !is_keyword(name) {
        return f.write_str(name);
    }
    write!(f, "\"{}\"", name.replace('"', "\"\""))
}
