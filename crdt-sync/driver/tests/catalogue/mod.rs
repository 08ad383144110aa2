//! What the tests of the `catalogue` example share: the program, and catalogues to feed it.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A catalogue: package to version.
pub(crate) type Catalogue = BTreeMap<String, String>;

/// The compiled example. Cargo builds examples before it runs tests, and puts both below one directory.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join("catalogue");
    assert!(program.exists(), "{} is missing: cargo build --example catalogue", program.display());
    program
}

/// Runs the example to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(program()).args(["--deadline", "120"]).args(arguments).output().unwrap()
}

/// Runs the example, which must succeed and print one line of JSON.
pub(crate) fn run_json<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Value {
    let json = std::ffi::OsString::from("--json");
    let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
    let output = run(arguments.chain([json]));
    assert!(output.status.success(), "{}", errors(&output));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.lines().count(), 1, "nothing but the object: {stdout}");
    serde_json::from_str(&stdout).unwrap()
}

/// What a run said on standard error.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes a catalogue to a file.
pub(crate) fn write(file: &Path, catalogue: &Catalogue) {
    let text = catalogue.iter().fold(String::new(), |mut text, (key, version)| {
        writeln!(text, "{key}\t{version}").unwrap();
        text
    });
    std::fs::write(file, text).unwrap();
}

/// What every replica should dump when all versions are kept: their union, package by package.
pub(crate) fn union(catalogues: &[Catalogue]) -> String {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, version) in catalogues.iter().flatten() {
        all.entry(key).or_default().insert(version);
    }
    all.iter().fold(String::new(), |mut text, (key, versions)| {
        let versions: Vec<&str> = versions.iter().copied().collect();
        writeln!(text, "{key}\t{}", versions.join(",")).unwrap();
        text
    })
}

/// Three catalogues of about `count` packages each: some they share, some differ, some are in one or two of them only.
pub(crate) fn three_that_diverged(count: usize) -> [Catalogue; 3] {
    [0, 1, 2].map(|replica| {
        let package = |number: usize| match number % 10 {
            0..=5 => Some((format!("package-{number}"), "1.0-1".to_owned())),
            6 | 7 => Some((format!("package-{number}"), format!("1.{replica}-1"))),
            8 => (number / 10 % 3 == replica).then(|| (format!("only-{number}"), "2:0.9~rc1".to_owned())),
            _ => (number / 10 % 3 != replica).then(|| (format!("most-{number}"), format!("{number}+b1"))),
        };
        (0..count).filter_map(package).collect()
    })
}

/// Writes catalogues as `a.tsv`, `b.tsv` and so on.
pub(crate) fn write_all(directory: &Path, catalogues: &[Catalogue]) -> Vec<PathBuf> {
    let name = |letter: char, catalogue| {
        let file = directory.join(format!("{letter}.tsv"));
        write(&file, catalogue);
        file
    };
    ('a'..).zip(catalogues).map(|(letter, catalogue)| name(letter, catalogue)).collect()
}

/// What the replicas dumped, all the same.
pub(crate) fn dumped(directory: &Path, replicas: &[&str]) -> String {
    let read = |name: &&str| std::fs::read_to_string(directory.join(format!("{name}.tsv"))).unwrap();
    let dumps: Vec<String> = replicas.iter().map(read).collect();
    for (name, dump) in replicas.iter().zip(&dumps) {
        assert!(*dump == dumps[0], "{name} dumped something else than {}", replicas[0]);
    }
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), replicas.len());
    dumps.into_iter().next().unwrap()
}
