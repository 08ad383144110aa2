//! The documents say what is so.

use crate::crates::FAMILY;
use crate::rust::{code, functions};
use crate::{Complaint, Manifest, SourceFile, Workspace};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const CHANGELOG: &str = "CHANGELOG.md";
const README: &str = "README.md";

/// The one command that runs every test.
const TEST_COMMAND: &str = "cargo test --workspace --locked";

/// Every member's README is its crate doc: one text, compiled and tested.
pub fn crate_docs(workspace: &Workspace) -> Vec<Complaint> {
    workspace.members().iter().flat_map(|member| crate_docs_of(workspace, member)).collect()
}

/// A snippet that names a crate of the family, or the Rust version, names the current one.
pub fn versions(workspace: &Workspace) -> Vec<Complaint> {
    let (release, rust) = (workspace.package("version"), workspace.package("rust-version"));
    let mut complaints = Vec::new();
    for file in workspace.files.iter().filter(|file| file.is("md") && file.path != CHANGELOG) {
        for (line, text) in file.lines() {
            if let Some((name, quoted)) = family_snippet(text)
                && !is_prefix(quoted, &release)
            {
                let advice = format!("`{name}` is at {release}, not at {quoted}: correct the snippet");
                complaints.push(Complaint::at(file, line, advice));
            }
            if let Some(quoted) = rust_version_in(text)
                && quoted != rust
            {
                complaints.push(Complaint::at(
                    file,
                    line,
                    format!("rust-version is {rust}, not {quoted}: correct it"),
                ));
            }
        }
    }
    complaints
}

/// The README names the Rust version and the test command, and the script that checks everything runs that command.
pub fn readme(workspace: &Workspace) -> Vec<Complaint> {
    let Some(text) = workspace.text(README) else {
        return vec![Complaint::new(README, "write it")];
    };
    let mut complaints = Vec::new();
    let rust = workspace.package("rust-version");
    if !text.lines().any(|line| rust_version_in(line) == Some(rust.as_str())) {
        complaints.push(Complaint::new(README, format!("say that it needs Rust {rust}")));
    }
    if !text.contains(TEST_COMMAND) {
        complaints.push(Complaint::new(README, format!("say how to run the tests: `{TEST_COMMAND}`")));
    }
    if !workspace.text(".ci/run").is_some_and(|script| script.contains(TEST_COMMAND)) {
        complaints.push(Complaint::new(".ci/run", format!("run what the README promises: `{TEST_COMMAND}`")));
    }
    complaints
}

/// ARCHITECTURE lists every crate.
pub fn architecture(workspace: &Workspace) -> Vec<Complaint> {
    let Some(text) = workspace.text(ARCHITECTURE) else {
        return vec![Complaint::new(ARCHITECTURE, "write it: crates, data flow, invariants")];
    };
    let listed = |manifest: &Manifest| {
        text.contains(&format!("`{}`", manifest.name)) || text.contains(&format!("`{}`", manifest.folder))
    };
    let complain = |manifest: &Manifest| {
        Complaint::new(ARCHITECTURE, format!("list the crate `{}` ({}/)", manifest.name, manifest.folder))
    };
    workspace.manifests().iter().filter(|manifest| !listed(manifest)).map(complain).collect()
}

/// Every numbered row of a table in ARCHITECTURE is an invariant, and its last cell names tests that exist, in
/// backticks: `` | 2 | Same inputs, same outputs | `two_runs_give_the_same_bytes` | ``.
pub fn invariants(workspace: &Workspace) -> Vec<Complaint> {
    let Some(file) = workspace.files.iter().find(|file| file.path == ARCHITECTURE) else {
        return vec![Complaint::new(ARCHITECTURE, "write it: each invariant with the test that guards it")];
    };
    let codes: Vec<String> = workspace.rust().map(|file| code(&file.text)).collect();
    let tests: Vec<&str> = codes.iter().flat_map(|code| functions(code)).collect();
    let rows: Vec<_> = file.lines().filter_map(|(line, text)| Some((line, invariant_row(text)?))).collect();
    if rows.is_empty() {
        return vec![Complaint::new(
            ARCHITECTURE,
            "list the invariants as table rows: `| 1 | what holds | `test` |`",
        )];
    }
    rows.into_iter().flat_map(|(line, guards)| guarded(file, line, guards, &tests)).collect()
}

/// CHANGELOG has an entry for the current version.
pub fn changelog(workspace: &Workspace) -> Vec<Complaint> {
    let release = workspace.package("version");
    let heading = |line: &str| line.starts_with("## ") && line.contains(&release);
    match workspace.text(CHANGELOG) {
        Some(text) if text.lines().any(heading) => Vec::new(),
        Some(_) => vec![Complaint::new(CHANGELOG, format!("add a heading `## {release}`"))],
        None => vec![Complaint::new(CHANGELOG, "write it: what changed for a user, newest first")],
    }
}

/// Both licences that the manifests name are here in full.
pub fn licences(workspace: &Workspace) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, id, sentence) in [
        ("LICENSE-MIT", "MIT", "Permission is hereby granted, free of charge"),
        ("LICENSE-APACHE", "Apache-2.0", "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"),
    ] {
        if !workspace.package("license").contains(id) {
            complaints.push(Complaint::new(
                "Cargo.toml",
                format!("`license` does not name {id}, yet {path} is here"),
            ));
        }
        if !workspace.text(path).is_some_and(|text| text.contains(sentence)) {
            complaints.push(Complaint::new(path, format!("put the full text of the {id} licence here")));
        }
    }
    complaints
}

fn crate_docs_of(workspace: &Workspace, member: &Manifest) -> Vec<Complaint> {
    let (readme, root) = (format!("{}/README.md", member.folder), format!("{}/src/lib.rs", member.folder));
    let mut complaints = Vec::new();
    if !workspace.text(&readme).is_some_and(|text| text.starts_with("# ")) {
        complaints
            .push(Complaint::new(&readme, "write it: what the crate is, what it is not, a first example"));
    }
    let includes = "#![doc = include_str!(\"../README.md\")]";
    if !workspace.text(&root).is_some_and(|text| text.starts_with(includes)) {
        complaints.push(Complaint::new(&root, format!("begin with `{includes}`")));
    }
    if member.table["package"].get("readme").and_then(|readme| readme.as_str()) != Some("README.md") {
        complaints
            .push(Complaint::new(format!("{}/Cargo.toml", member.folder), "add `readme = \"README.md\"`"));
    }
    complaints
}

/// The name and version in a line such as `crdt-core = "0.1"` or `quorum = { version = "0.1", ... }`.
fn family_snippet(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once('=')?;
    let name = name.trim();
    if !FAMILY.contains(&name) {
        return None;
    }
    let rest = rest.trim_start();
    let quoted = match rest.strip_prefix('{') {
        Some(table) => table.split_once("version")?.1.trim_start().strip_prefix('=')?.trim_start(),
        None => rest,
    };
    Some((name, quoted.strip_prefix('"')?.split('"').next()?))
}

/// The version in `Rust 1.88`, `rust-version 1.88` or `rust-version = "1.88"`.
fn rust_version_in(line: &str) -> Option<&str> {
    let after = ["Rust ", "rust-version ", "rust-version = \""];
    after.iter().find_map(|lead| {
        let rest = line.split_once(lead)?.1;
        let end = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(rest.len());
        let version = rest[..end].trim_end_matches('.');
        version.starts_with("1.").then_some(version)
    })
}

fn is_prefix(quoted: &str, release: &str) -> bool {
    let quoted = quoted.trim_start_matches(['=', '^', '~', ' ']);
    quoted == release || release.starts_with(&format!("{quoted}."))
}

/// The last cell of a table row whose first cell is a number.
fn invariant_row(line: &str) -> Option<&str> {
    let cells: Vec<&str> =
        line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    cells.first()?.parse::<u32>().ok()?;
    cells.last().copied()
}

/// Every name in backticks is a test that exists, and there is one at least. Paths (`a::b`) count by their last name;
/// what is no name (a file, a command) is left alone.
fn guarded(file: &SourceFile, line: usize, guards: &str, tests: &[&str]) -> Vec<Complaint> {
    let quoted = guards.split('`').skip(1).step_by(2);
    let names: Vec<&str> = quoted
        .filter(|quoted| {
            quoted.chars().all(|character| character.is_alphanumeric() || "_:".contains(character))
        })
        .filter_map(|path| path.rsplit("::").next())
        .collect();
    if names.is_empty() {
        return vec![Complaint::at(file, line, "name the test that guards this invariant, in backticks")];
    }
    let unknown = names.into_iter().filter(|name| !tests.contains(name));
    unknown
        .map(|name| Complaint::at(file, line, format!("there is no test `{name}`: write it or rename it")))
        .collect()
}

#[cfg(test)]
mod tests;
