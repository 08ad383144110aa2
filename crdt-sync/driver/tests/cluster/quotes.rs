//! What the documents quote is in the files they name, letter by letter.

use std::path::Path;

/// The pages, and how many pieces of code each has at least.
const PAGES: [(&str, usize); 4] = [
    ("docs/multi-leader.md", 9),
    ("docs/leaderless.md", 8),
    ("docs/single-leader.md", 10),
    ("docs/failover.md", 4),
];

/// A piece of code and the file it is said to be from.
struct Quote {
    line: usize,
    file: String,
    code: Vec<String>,
}

fn quotes(text: &str) -> Vec<Quote> {
    let mut quotes = Vec::new();
    let mut file = None;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(rest) = line.strip_prefix("From [`") {
            file = rest.split('`').next().map(str::to_owned);
        } else if line.starts_with("```rust") {
            let code = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let code = code.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
            let file = file.take().unwrap_or_else(|| panic!("line {number}: code from nowhere"));
            quotes.push(Quote { line: number + 1, file, code });
        }
    }
    quotes
}

fn is_in(code: &[String], text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.windows(code.len()).any(|window| window == code)
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_piece_of_code_in_the_pages_on_topologies_is_a_quotation() {
    for (page, least) in PAGES {
        let quotes = quotes(&read(page));
        assert!(quotes.len() >= least, "{page} has {} pieces of code", quotes.len());
        for Quote { line, file, code } in quotes {
            assert!(is_in(&code, &read(&file)), "{page}:{line}: this is not in {file}:\n{}", code.join("\n"));
        }
    }
}

#[test]
fn a_quotation_with_another_word_is_noticed() {
    let page = "From [`some.rs`](some.rs):\n\n```rust,ignore\nlet a = 1;\n```\n";
    let [Quote { file, code, .. }] = &quotes(page)[..] else { panic!("one") };
    assert_eq!(file, "some.rs");
    assert!(is_in(code, "fn f() {\n    let a = 1;\n}\n"));
    assert!(!is_in(code, "fn f() {\n    let a = 2;\n}\n"));
}
