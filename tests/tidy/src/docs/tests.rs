use super::*;

const ROOT: (&str, &str) = (
    "Cargo.toml",
    "[workspace]\nmembers = [\"quorum\"]\n\
     [workspace.package]\nversion = \"0.1.0\"\nrust-version = \"1.88\"\nlicense = \"MIT OR Apache-2.0\"\n",
);
const QUORUM: (&str, &str) = ("quorum/Cargo.toml", "[package]\nname = \"quorum\"\nreadme = \"README.md\"\n");

fn with<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Workspace {
    Workspace::of([ROOT, QUORUM].into_iter().chain(files))
}

fn said(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(ToString::to_string).collect()
}

#[test]
fn a_crate_without_its_readme_as_doc_is_reported() {
    assert_eq!(crate_docs(&with([("quorum/src/lib.rs", "//! A doc of its own.\n")])).len(), 2);
    let led = "#![doc = include_str!(\"../README.md\")]\n";
    assert_eq!(crate_docs(&with([("quorum/src/lib.rs", led), ("quorum/README.md", "# quorum\n")])), []);
}

#[test]
fn stale_numbers_in_a_snippet_are_reported() {
    let stale =
        "quorum = \"0.2\"\ncrdt-core = { version = \"0.1.1\" }\nNeeds Rust 1.70.\nrust-version = \"1.60\"\n";
    assert_eq!(
        said(&versions(&with([("quorum/README.md", stale)]))),
        [
            "quorum/README.md:1: `quorum` is at 0.1.0, not at 0.2: correct the snippet",
            "quorum/README.md:2: `crdt-core` is at 0.1.0, not at 0.1.1: correct the snippet",
            "quorum/README.md:3: rust-version is 1.88, not 1.70: correct it",
            "quorum/README.md:4: rust-version is 1.88, not 1.60: correct it",
        ],
    );
    let current = "quorum = \"0.1\"\nserde = \"1\"\ncrdt-core = { version = \"0.1.0\" }\nNeeds Rust 1.88.\n";
    assert_eq!(versions(&with([("quorum/README.md", current)])), []);
}

#[test]
fn the_readme_says_how_to_test_and_the_script_does_it() {
    assert_eq!(said(&readme(&with([]))), ["README.md: write it"]);
    assert_eq!(readme(&with([("README.md", "Hello.\n")])).len(), 3);
    let right = "Needs Rust 1.88. Run `cargo test --workspace --locked`.\n";
    assert_eq!(readme(&with([("README.md", right), (".ci/run", "cargo test --workspace --locked\n")])), []);
}

#[test]
fn a_crate_missing_from_the_architecture_is_reported() {
    assert_eq!(
        said(&architecture(&with([(ARCHITECTURE, "# Architecture\n")]))),
        ["ARCHITECTURE.md: list the crate `quorum` (quorum/)"],
    );
    assert_eq!(architecture(&with([(ARCHITECTURE, "| `quorum` | agreement |\n")])), []);
    assert_eq!(architecture(&with([])).len(), 1);
}

#[test]
fn an_invariant_without_a_test_that_exists_is_reported() {
    let table = "| # | invariant | guarded by |\n|---|---|---|\n\
                 | 1 | no IO | prose |\n\
                 | 2 | same bytes | `gone` |\n\
                 | 3 | laws | `laws::hold`, `clippy.toml` |\n";
    let tests = ("quorum/tests/laws.rs", "#[test]\nfn hold() {}\n// fn gone() {}\n");
    assert_eq!(
        said(&invariants(&with([(ARCHITECTURE, table), tests]))),
        [
            "ARCHITECTURE.md:3: name the test that guards this invariant, in backticks",
            "ARCHITECTURE.md:4: there is no test `gone`: write it or rename it",
        ],
    );
    assert_eq!(invariants(&with([(ARCHITECTURE, "No table.\n")])).len(), 1);
}

#[test]
fn a_release_without_a_changelog_entry_is_reported() {
    assert_eq!(changelog(&with([])).len(), 1);
    assert_eq!(changelog(&with([(CHANGELOG, "## 0.0.9\n")])).len(), 1);
    assert_eq!(changelog(&with([(CHANGELOG, "# Changelog\n\n## 0.1.0\n")])), []);
}

#[test]
fn a_licence_that_is_only_mentioned_is_reported() {
    assert_eq!(licences(&with([("LICENSE-MIT", "MIT\n")])).len(), 2);
}
