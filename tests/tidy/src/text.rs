//! How long, how wide, and in which words.

use crate::rust::{code, has_word};
use crate::{Complaint, SourceFile, Workspace};

const LINES: usize = 500;
const TEST_LINES: usize = 800;
const COLUMNS: usize = 120;

/// What a finished text does not contain. Spelled in halves so that this file is finished too.
const LEFTOVERS: [(&str, &str); 6] = [
    (concat!("to", "do!("), "finish it"),
    (concat!("unimple", "mented!("), "finish it"),
    (concat!("db", "g!("), "remove the trace"),
    (concat!("FIX", "ME"), "fix it"),
    (concat!("TO", "DO"), "do it"),
    (concat!("HA", "CK"), "say why it must be so, or do it properly"),
];

/// The list of words, and the only file that may contain them.
const WORDS: (&str, &str) = ("tests/tidy/data/words.txt", include_str!("../data/words.txt"));

/// A file has one reason to exist, and then it is not long.
pub fn lengths(workspace: &Workspace) -> Vec<Complaint> {
    let too_long = |file: &SourceFile| {
        let (lines, most) = (file.text.lines().count(), most_lines(&file.path));
        let advice =
            format!("{lines} lines, at most {most}: split it by meaning, each part with a name of its own");
        (lines > most).then(|| Complaint::new(&file.path, advice))
    };
    workspace.rust().filter_map(too_long).collect()
}

/// Lines fit on a screen beside another file. Tables in prose and descriptions in manifests cannot be broken.
pub fn widths(workspace: &Workspace) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in workspace.files.iter().filter(|file| file.is("rs") || is_script(file)) {
        for (line, text) in file.lines() {
            let columns = text.chars().count();
            if columns > COLUMNS {
                let advice = format!("{columns} columns wide, at most {COLUMNS}: break the line");
                complaints.push(Complaint::at(file, line, advice));
            }
        }
    }
    complaints
}

/// Nothing is left to be done later, and no trace of how it was found.
pub fn leftovers(workspace: &Workspace) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let finished = |file: &&SourceFile| file.is("rs") || file.is("md") || file.is("toml") || is_script(file);
    for file in workspace.files.iter().filter(finished) {
        for (line, text) in file.lines() {
            for (leftover, advice) in LEFTOVERS {
                if has_word(text, leftover) {
                    complaints.push(Complaint::at(
                        file,
                        line,
                        format!("`{leftover}` is left over: {advice}"),
                    ));
                }
            }
        }
    }
    complaints
}

/// The words of `data/words.txt` are used nowhere else.
pub fn words(workspace: &Workspace) -> Vec<Complaint> {
    let list: Vec<(String, &str)> =
        word_list().map(|(word, instead)| (word.to_lowercase(), instead)).collect();
    let mut complaints = Vec::new();
    for file in workspace.files.iter().filter(|file| file.path != WORDS.0 && !file.is_generated()) {
        for (line, text) in file.lines() {
            let text = text.to_lowercase();
            for (word, instead) in list.iter().filter(|(word, _)| has_word(&text, word)) {
                complaints.push(Complaint::at(file, line, format!("instead of `{word}` write {instead}")));
            }
        }
    }
    complaints
}

/// Every lint that is switched off says why.
pub fn reasons(workspace: &Workspace) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in workspace.rust() {
        let code = code(&file.text);
        for attribute in ["[allow(", "[expect("] {
            for (at, _) in code.match_indices(attribute) {
                let body = code[at..].split(")]").next().unwrap_or_default();
                if code[..at].ends_with(['#', '!']) && !body.contains("reason") {
                    let line = code[..at].matches('\n').count() + 1;
                    complaints.push(Complaint::at(file, line, "say why: add `reason = \"...\"`"));
                }
            }
        }
    }
    complaints
}

/// Each word with what to write instead.
fn word_list() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORDS.1.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" | "))
}

fn most_lines(path: &str) -> usize {
    let tests = path.contains("/tests/") || path.ends_with("/tests.rs");
    if tests { TEST_LINES } else { LINES }
}

fn is_script(file: &SourceFile) -> bool {
    file.is("sh") || file.path.starts_with(".ci/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_told_to_split_and_a_test_may_be_longer() {
        let long = "\n".repeat(LINES + 1);
        let workspace = Workspace::of([("a/src/b.rs", long.as_str()), ("a/src/tests.rs", long.as_str())]);
        let complaints = lengths(&workspace);
        assert_eq!(complaints.len(), 1);
        assert!(
            complaints[0].to_string().starts_with("a/src/b.rs: 501 lines, at most 500: split it by meaning")
        );
        let endless = "\n".repeat(TEST_LINES + 1);
        assert_eq!(lengths(&Workspace::of([("a/tests/b.rs", endless.as_str())])).len(), 1);
    }

    #[test]
    fn width_is_counted_in_characters() {
        let (fits, wide) = ("\u{e9}".repeat(COLUMNS), "\u{e9}".repeat(COLUMNS + 1));
        assert_eq!(widths(&Workspace::of([("a.rs", fits.as_str()), ("a.md", wide.as_str())])), []);
        assert_eq!(widths(&Workspace::of([("a.rs", wide.as_str())])).len(), 1);
    }

    #[test]
    fn every_leftover_is_found() {
        for (leftover, _) in LEFTOVERS {
            let text = format!("fn f() {{\n    {leftover}\n}}\n");
            let complaints = leftovers(&Workspace::of([("a/src/b.rs", text.as_str())]));
            assert!(complaints[0].to_string().starts_with("a/src/b.rs:2: "), "{leftover}");
        }
    }

    #[test]
    fn every_word_of_the_list_is_found_by_itself_and_in_any_case() {
        for (word, instead) in word_list() {
            let text = format!("Plain.\nSee {} here.\nNot x{word}x though.\n", word.to_uppercase());
            let found: Vec<_> = words(&Workspace::of([("README.md", text.as_str())]))
                .iter()
                .map(ToString::to_string)
                .filter(|complaint| complaint.ends_with(instead))
                .collect();
            let complaint = format!("README.md:2: instead of `{}` write {instead}", word.to_lowercase());
            assert!(found.contains(&complaint), "{word}: {found:?}");
        }
        assert!(word_list().count() > 10);
    }

    #[test]
    fn a_lint_switched_off_without_a_reason_is_reported() {
        let silent = concat!(
            "#[all",
            "ow(dead_code)]\nfn f() {}\n#![exp",
            "ect(\n    unused,\n    reason = \"r\"\n)]\n"
        );
        assert_eq!(reasons(&Workspace::of([("a.rs", silent)])).len(), 1);
    }
}
