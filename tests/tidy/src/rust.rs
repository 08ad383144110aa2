//! As much Rust as the checks need: code without its comments, and the paths it names.

/// The lines of `text` with line comments blanked, numbered from 1. Doc links do not count as imports.
pub(crate) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
}

/// The code of `text` as one string, comments blanked, lines kept.
pub(crate) fn code(text: &str) -> String {
    code_lines(text).flat_map(|(_, line)| [line, "\n"]).collect()
}

/// The first segments of every path that starts with `prefix`, each with its line:
/// `crate::{merkle::Tree, engine}` gives `merkle` and `engine` for the prefix `crate::`.
pub(crate) fn segments_after<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|before: char| is_name(before) || before == ':') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        // A chain such as `super::super::` leads where its last link leads.
        let rest = code[at..].trim_start_matches(prefix);
        let names = if rest.starts_with('{') { group(rest) } else { vec![name(rest)] };
        found.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (line, name)));
    }
    found
}

/// The names of all functions that `code` defines.
pub(crate) fn functions(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("fn ").map(|(at, keyword)| name(&code[at + keyword.len()..]))
}

/// Whether `word` stands in `text` by itself, not as a part of a longer name.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let bounded =
        |edge: Option<char>, beside: Option<char>| !edge.is_some_and(is_name) || !beside.is_some_and(is_name);
    text.match_indices(word).any(|(at, _)| {
        bounded(word.chars().next(), text[..at].chars().next_back())
            && bounded(word.chars().next_back(), text[at + word.len()..].chars().next())
    })
}

/// The first segments inside a brace group: `{a::B, c::{D, E}}` gives `a` and `c`.
fn group(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(character, '{' | ',') {
            names.push(name(text[at + 1..].trim_start()));
        }
    }
    names
}

fn name(text: &str) -> &str {
    let end = text.find(|character| !is_name(character)).unwrap_or(text.len());
    &text[..end]
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_groups_too() {
        let code = "use crate::{merkle::{Tree, Leaf}, engine::Engine, Limits};\nlet x = crate::time::now();";
        let found = segments_after(code, "crate::");
        assert_eq!(found, [(1, "merkle"), (1, "engine"), (1, "Limits"), (2, "time")]);
    }

    #[test]
    fn a_path_of_another_crate_is_not_ours() {
        assert_eq!(segments_after("use mycrate::engine;", "crate::"), []);
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code("/// [`crate::engine`]\nlet a = 1; // crate::engine\n"), "\nlet a = 1; \n");
    }

    #[test]
    fn words_stand_by_themselves() {
        assert!(has_word("see bincode::encode", "bincode"));
        assert!(!has_word("bincoded", "bincode"));
        assert!(has_word("in /etc/hosts", "/etc/"));
    }

    #[test]
    fn functions_are_found_by_name() {
        let code = "pub fn a() {}\nfn b_c<T>(t: T) {}";
        assert_eq!(functions(code).collect::<Vec<_>>(), ["a", "b_c"]);
    }
}
