//! Expressions as text.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::str::FromStr;

use super::Expr;
use crate::{ExprError, ParseExprError};

/// Brackets may be nested so deep: each level is a level of the stack for whoever walks the expression.
const DEEPEST: usize = 64;

/// Reads what [`Display`](core::fmt::Display) writes, and some more: `a * b + c`, brackets, `choose(2, a, b, c)`,
/// `majority(a, b, c)`, `weighted(3, 2: a, 1: b, c)` (one vote where none is written), `any(a, b)`, `all(a, b)`.
///
/// The name of a node is made of letters, digits and `_ - . / @`. O(length).
///
/// ```
/// use quorum::{Expr, ParseExprError};
///
/// let grid: Expr<String> = "a*b + c*d".parse()?;
/// assert_eq!(grid.dual().to_string(), "(a + b) * (c + d)");
/// assert_eq!(
///     "a * * b".parse::<Expr<String>>(),
///     Err(ParseExprError::Unexpected { at: 4, found: '*', expected: "a node, a function or a bracket" }),
/// );
/// # Ok::<(), ParseExprError>(())
/// ```
impl FromStr for Expr<String> {
    type Err = ParseExprError;

    fn from_str(text: &str) -> Result<Self, ParseExprError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let expr = parser.sum()?;
        match parser.peek() {
            None => Ok(expr),
            Some(_) => Err(parser.unexpected("`+`, `*` or the end")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// How much of the text has been read.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Expr<String>, ParseExprError> {
        self.operands('+', Self::product, Expr::sum)
    }

    fn product(&mut self) -> Result<Expr<String>, ParseExprError> {
        self.operands('*', Self::factor, Expr::product)
    }

    fn operands(
        &mut self,
        operator: char,
        operand: impl Fn(&mut Self) -> Result<Expr<String>, ParseExprError>,
        joined: impl FnOnce(Vec<Expr<String>>) -> Expr<String>,
    ) -> Result<Expr<String>, ParseExprError> {
        let first = operand(self)?;
        if !self.skip(operator) {
            return Ok(first);
        }
        let mut operands = vec![first, operand(self)?];
        while self.skip(operator) {
            operands.push(operand(self)?);
        }
        Ok(joined(operands))
    }

    fn factor(&mut self) -> Result<Expr<String>, ParseExprError> {
        if self.peek() == Some('(') {
            return self.bracketed(Self::sum);
        }
        let name = self.word();
        if name.is_empty() {
            return Err(self.unexpected("a node, a function or a bracket"));
        }
        if self.peek() == Some('(') {
            let at = self.at - name.len();
            return self.function(name, at);
        }
        Ok(Expr::node(name.to_string()))
    }

    /// What stands between the brackets of the function whose name has just been read.
    fn function(&mut self, name: &str, at: usize) -> Result<Expr<String>, ParseExprError> {
        let made = match name {
            "any" => Expr::any(self.bracketed(Self::parts)?),
            "all" => Expr::all(self.bracketed(Self::parts)?),
            "majority" => Expr::majority(self.bracketed(Self::parts)?),
            "choose" => {
                let (need, parts) = self.bracketed(|parser| Ok((parser.need()?, parser.parts()?)))?;
                Expr::choose(need, parts)
            }
            "weighted" => {
                let (need, parts) = self.bracketed(|parser| Ok((parser.need()?, parser.voting_parts()?)))?;
                Expr::weighted(need, parts)
            }
            _ => return Err(ParseExprError::UnknownFunction { at }),
        };
        made.map_err(|error: ExprError| ParseExprError::Expr { at, error })
    }

    fn bracketed<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, ParseExprError>,
    ) -> Result<T, ParseExprError> {
        self.expect('(', "`(`")?;
        if self.depth == DEEPEST {
            return Err(ParseExprError::TooDeep { at: self.at - 1, limit: DEEPEST });
        }
        self.depth += 1;
        let found = inside(self)?;
        self.depth -= 1;
        self.expect(')', "`)`, `,` or an operator")?;
        Ok(found)
    }

    fn parts(&mut self) -> Result<Vec<Expr<String>>, ParseExprError> {
        self.list(Self::sum)
    }

    fn voting_parts(&mut self) -> Result<Vec<(u64, Expr<String>)>, ParseExprError> {
        self.list(|parser| Ok((parser.votes()?, parser.sum()?)))
    }

    fn list<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, ParseExprError>,
    ) -> Result<Vec<T>, ParseExprError> {
        let mut parts = vec![one(self)?];
        while self.skip(',') {
            parts.push(one(self)?);
        }
        Ok(parts)
    }

    /// The number that `choose` and `weighted` begin with.
    fn need(&mut self) -> Result<u64, ParseExprError> {
        let need = self.number()?;
        self.expect(',', "`,`")?;
        Ok(need)
    }

    /// The votes in front of a part, if any are written there: `1` may be a number of votes or the name of a node.
    fn votes(&mut self) -> Result<u64, ParseExprError> {
        self.peek();
        let begin = self.at;
        let is_number = self.word().bytes().all(|byte| byte.is_ascii_digit());
        let votes_follow = is_number && self.at > begin && self.peek() == Some(':');
        self.at = begin;
        if !votes_follow {
            return Ok(1);
        }
        let votes = self.number()?;
        self.expect(':', "`:`")?;
        Ok(votes)
    }

    fn number(&mut self) -> Result<u64, ParseExprError> {
        self.peek();
        let at = self.at;
        let digits = self.take(|letter| letter.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.unexpected("a number"));
        }
        digits.parse().map_err(|_| ParseExprError::NumberTooLarge { at })
    }

    fn word(&mut self) -> &'a str {
        self.peek();
        self.take(|letter| letter.is_alphanumeric() || "_-./@".contains(letter))
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|letter| !belongs(letter)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
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

    fn expect(&mut self, letter: char, expected: &'static str) -> Result<(), ParseExprError> {
        if self.skip(letter) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&mut self, expected: &'static str) -> ParseExprError {
        match self.peek() {
            Some(found) => ParseExprError::Unexpected { at: self.at, found, expected },
            None => ParseExprError::End { expected },
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}
