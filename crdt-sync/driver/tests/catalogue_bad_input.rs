//! The `catalogue` example says what is wrong with what it is given, and does nothing by halves.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "in a test a panic is the report; this one runs programs on files"
)]

mod catalogue;

use std::ffi::OsStr;

use catalogue::{errors, run};
use crdt_sync::Limits;

/// Runs the example with arguments it must refuse, and returns what it says.
fn refusal<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = run(arguments);
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(output.stdout.is_empty(), "what failed has no summary");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

#[test]
fn a_malformed_line_is_named_and_nothing_is_loaded() {
    let long_key = [&vec![b'k'; Limits::default().max_key + 1][..], b"\t1"].concat();
    let long_version = [b"k\t", &vec![b'1'; Limits::default().max_value + 1][..]].concat();
    let lines: [(&[u8], &str); 11] = [
        (b"", "no tab"),
        (b"nothing but a name", "no tab"),
        (b"\t1.0", "no name"),
        (b"bash\t", "no version"),
        (b"bash\t5.2\tmore", "more than one tab"),
        (b"\xff\xfe\t1.0", "not UTF-8"),
        (b"bash\t5.2\r", "control character"),
        (b"first\t9.9", "listed before, in line 1"),
        (b"first\t1.0", "listed before, in line 1"),
        (&long_key, "1025 bytes, 1024 are allowed"),
        (&long_version, "262145 bytes, 262144 are allowed"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let (good, bad) = (directory.path().join("good.tsv"), directory.path().join("bad.tsv"));
    let data = directory.path().join("data");
    std::fs::write(&good, "bash\t5.2\n").unwrap();
    for (line, what) in lines {
        std::fs::write(&bad, [b"first\t1.0\nsecond\t1.0\n", line, b"\nlast\t1.0\n"].concat()).unwrap();
        for arguments in [
            vec![good.as_os_str(), bad.as_os_str()],
            vec![OsStr::new("--load"), bad.as_os_str()],
            vec![OsStr::new("--listen"), OsStr::new("127.0.0.1:0"), OsStr::new("--load"), bad.as_os_str()],
        ] {
            let said = refusal([OsStr::new("--data-dir"), data.as_os_str()].into_iter().chain(arguments));
            assert!(said.contains(&format!("{}, line 3: ", bad.display())), "{said}");
            assert!(said.contains(what), "{said}");
            assert!(!data.exists(), "not even the good file was loaded");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.tsv");
    for path in [missing.as_path(), directory.path()] {
        let said = refusal([path, path]);
        assert!(said.contains("cannot read") && said.contains(path.to_str().unwrap()), "{said}");
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file.tsv");
    std::fs::write(&file, "bash\t5.2\n").unwrap();
    for option in ["--data-dir", "--dump"] {
        let said = refusal([OsStr::new(option), file.as_os_str(), file.as_os_str(), file.as_os_str()]);
        assert!(said.contains(file.to_str().unwrap()), "{said}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file.tsv");
    std::fs::write(&file, "bash\t5.2\n").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, what) in [
        (&[file][..], "two or more"),
        (&[file, file, "--edit", "bash"], "no `=`"),
        (&[file, file, "--edit", "=1"], "must not be empty"),
        (&[file, file, "--edit", "bash="], "must not be empty"),
        (&[file, file, "--edit", "bash=1@nobody"], "there are file, file-2"),
        (&[file, file, "--resolve", "dice"], "dice"),
        (&[file, "--listen", "127.0.0.1:0"], "cannot be used with"),
        (&["--listen", "192.0.2.1:7000"], "not a loopback address"),
        (&["--peer", "192.0.2.1:7000"], "not a loopback address"),
        (&["--differ", "1000000"], "only 76439"),
    ] {
        let said = refusal(arguments);
        assert!(said.contains(what), "{arguments:?}: {said}");
    }
}

#[test]
fn an_empty_catalogue_is_a_catalogue() {
    let directory = tempfile::tempdir().unwrap();
    let (empty, full) = (directory.path().join("empty.tsv"), directory.path().join("full.tsv"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&full, "bash\t5.2").unwrap();
    let report = catalogue::run_json([&empty, &full]);
    assert_eq!((&report["converged"], &report["keys"]), (&true.into(), &1.into()));
}
