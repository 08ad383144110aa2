//! The `catalogue` example brings catalogues together: every replica ends with the same, and with the right thing.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "in a test a panic is the report; this one runs programs on files"
)]

mod catalogue;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use catalogue::{Catalogue, dumped, errors, run, run_json, three_that_diverged, union, write, write_all};

fn arguments(options: &[&str], dump: &Path, files: &[PathBuf]) -> Vec<OsString> {
    let options = options.iter().map(OsString::from);
    options.chain(["--dump".into(), dump.into()]).chain(files.iter().map(OsString::from)).collect()
}

#[test]
fn all_replicas_hold_the_union_of_what_was_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let catalogues = three_that_diverged(1_500);
    let files = write_all(directory.path(), &catalogues);
    let dump = directory.path().join("dump");
    let report = run_json(arguments(&[], &dump, &files));
    let union = union(&catalogues);
    assert_eq!(dumped(&dump, &["a", "b", "c"]), union);

    assert_eq!(report["converged"], true);
    assert_eq!(report["replicas"], 3);
    assert_eq!(report["keys"], union.lines().count());
    assert_eq!(report["conflicts"], union.lines().filter(|line| line.contains(',')).count());
    assert_eq!(report["resolved"], 0);
    let input: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    assert_eq!(report["bytes_input"], input);
    assert!(report["bytes_full_copy"].as_u64().unwrap() >= input);
    assert!(report["bytes_sent"].as_u64().unwrap() > 0 && report["messages"].as_u64().unwrap() > 0);
    assert_eq!(report["root"].as_str().unwrap().len(), 32);
}

#[test]
fn real_catalogues_agree_too() {
    let directory = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/catalogue/data");
    let catalogues = ["bookworm", "trixie", "sid"].map(|release| {
        let packed = std::fs::File::open(data.join(format!("{release}.tsv.gz"))).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        let entries = text.lines().map(|line| line.split_once('\t').unwrap());
        // A part of them, but the same part of each.
        entries
            .filter(|(key, _)| key.contains("lib") && key.len() % 5 == 0)
            .map(|(k, v)| (k.into(), v.into()))
            .collect()
    });
    let files = write_all(directory.path(), &catalogues);
    let dump = directory.path().join("dump");
    run_json(arguments(&[], &dump, &files));
    assert_eq!(dumped(&dump, &["a", "b", "c"]), union(&catalogues));
}

#[test]
fn the_same_catalogue_on_two_replicas_is_no_conflict_and_costs_next_to_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (here, there) = (directory.path().join("here"), directory.path().join("there"));
    let [catalogue, _, _] = three_that_diverged(1_000);
    for folder in [&here, &there] {
        std::fs::create_dir(folder).unwrap();
        write(&folder.join("same.tsv"), &catalogue);
    }
    let dump = directory.path().join("dump");
    let files = [here.join("same.tsv"), there.join("same.tsv")];
    let report = run_json(arguments(&[], &dump, &files));
    assert_eq!(dumped(&dump, &["same", "same-2"]), union(&[catalogue]));
    assert_eq!(report["conflicts"], 0);
    let (sent, full) = (report["bytes_sent"].as_u64().unwrap(), report["bytes_full_copy"].as_u64().unwrap());
    assert!(sent * 10 < full, "{sent} bytes sent, a full copy has {full}");
}

#[test]
fn few_differences_cost_a_small_part_of_a_full_copy() {
    let report = run_json(["--differ", "10"]);
    assert_eq!((&report["conflicts"], &report["converged"]), (&10.into(), &true.into()));
    let (sent, full) = (report["bytes_sent"].as_u64().unwrap(), report["bytes_full_copy"].as_u64().unwrap());
    assert!(sent * 100 < full, "{sent} bytes sent, a full copy has {full}");
}

#[test]
fn comparing_is_reported_beside_the_least_that_had_to_be_said() {
    let directory = tempfile::tempdir().unwrap();
    let least = |catalogues: [Catalogue; 2]| {
        let files = write_all(directory.path(), &catalogues);
        let report = run_json(arguments(&[], &directory.path().join("dump"), &files));
        let [least, taken] =
            ["bytes_comparing_least", "bytes_comparing"].map(|key| report[key].as_u64().unwrap());
        assert!(least < taken || least == 0, "{report}");
        least
    };
    let packages = |count: usize, edited: usize| -> Catalogue {
        let version = |number| if number < edited { "2.0" } else { "1.0" };
        (0..count).map(|number| (format!("package-{number}"), version(number).to_owned())).collect()
    };
    assert_eq!(least([packages(1_000, 0), packages(1_000, 0)]), 0);
    // Either side has to be told which ten of its thousand to send: 77.8 bits, twice.
    assert_eq!(least([packages(1_000, 10), packages(1_000, 0)]), 20);
    // One side is told which ten of 1,010 the other lacks: 77.9 bits. The other has nothing to send.
    assert_eq!(least([packages(1_010, 0), packages(1_000, 0)]), 10);
}

#[test]
fn with_lww_the_catalogue_that_was_loaded_last_wins() {
    let directory = tempfile::tempdir().unwrap();
    let catalogues = three_that_diverged(600);
    let files = write_all(directory.path(), &catalogues);
    let dump = directory.path().join("dump");
    let report = run_json(arguments(&["--resolve", "lww"], &dump, &files));
    let last: Catalogue = catalogues.into_iter().flatten().collect();
    assert_eq!(dumped(&dump, &["a", "b", "c"]), union(&[last]));
    assert!(report["conflicts"].as_u64().unwrap() > 0);
    assert_eq!(report["conflicts"], report["resolved"]);
}

#[test]
fn the_custom_rule_shows_the_highest_version_as_debian_orders_them() {
    let directory = tempfile::tempdir().unwrap();
    // Left the higher, right the lower; the names say why.
    let pairs = [
        ("epoch", "1:0.1", "2.0"),
        ("letters-after-end", "1.0a", "1.0"),
        ("number-not-text", "1.10", "1.9"),
        ("revision", "1.0-10", "1.0-2"),
        ("same-but-for-zeros", "1.01", "1.001"),
        ("tilde-before-end", "1.0", "1.0~rc1"),
        ("tilde-before-tilde", "1.0~", "1.0~~"),
    ];
    let mixed = |flip: usize| -> Catalogue {
        let of = |(index, (key, high, low)): (usize, &(&str, &str, &str))| {
            ((*key).to_owned(), (*if index % 2 == flip { high } else { low }).to_owned())
        };
        pairs.iter().enumerate().map(of).collect()
    };
    let files = write_all(directory.path(), &[mixed(0), mixed(1)]);
    let dump = directory.path().join("dump");
    run_json(arguments(&["--resolve", "custom"], &dump, &files));
    let highest: Catalogue = pairs.iter().map(|(key, high, _)| ((*key).into(), (*high).into())).collect();
    assert_eq!(dumped(&dump, &["a", "b"]), union(&[highest]));
}

#[test]
fn a_second_run_on_the_same_directory_goes_on_from_there() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let options = ["--data-dir", data.to_str().unwrap()];
    let mut catalogues = three_that_diverged(600);
    let files = write_all(directory.path(), &catalogues);
    let first = run_json(arguments(&options, &directory.path().join("first"), &files));
    assert_eq!((&first["resumed"], &first["converged"]), (&0.into(), &true.into()));

    let second = run_json(arguments(&options, &directory.path().join("second"), &files));
    assert_eq!((&second["loaded"], &second["sessions"]), (&0.into(), &0.into()));
    assert_eq!((&second["root"], &second["resumed"]), (&first["root"], &first["loaded"]));

    // Only what is new in a file is loaded.
    catalogues[1].insert("late".into(), "1.0".into());
    write(&files[1], &catalogues[1]);
    let dump = directory.path().join("third");
    let third = run_json(arguments(&options, &dump, &files));
    assert_eq!(third["loaded"], 1);
    assert_eq!(dumped(&dump, &["a", "b", "c"]), union(&catalogues));
}

#[test]
fn a_directory_is_refused_under_another_rule_and_stays_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let options = ["--data-dir", data.to_str().unwrap()];
    let files = write_all(directory.path(), &three_that_diverged(100));
    let first = run_json(arguments(&options, &directory.path().join("dump"), &files));
    for rule in ["lww", "custom"] {
        let refused = run(["--resolve", rule].iter().map(OsString::from).chain(arguments(
            &options,
            &directory.path().join("dump"),
            &files,
        )));
        assert_eq!(refused.status.code(), Some(2));
        assert!(errors(&refused).contains("was made with another --resolve"), "{}", errors(&refused));
    }
    let again = run_json(arguments(&options, &directory.path().join("dump"), &files));
    assert_eq!(again["root"], first["root"]);
}

#[test]
fn edits_flow_once_all_agree_and_settle_what_they_touch() {
    let directory = tempfile::tempdir().unwrap();
    let [mut one, mut other, _] = three_that_diverged(600);
    for (catalogue, bash, dash) in [(&mut one, "5.1", "0.5"), (&mut other, "5.2", "0.6")] {
        let entries = [("bash", bash), ("dash", dash), ("zsh", "5.9")];
        catalogue.extend(entries.map(|(key, version)| (key.to_owned(), version.to_owned())));
    }
    let files = write_all(directory.path(), &[one.clone(), other.clone()]);
    let dump = directory.path().join("dump");
    let edits = ["--edit", "bash=5.3@b", "--edit", "fish=4.0", "--edit", "zsh=5.10@a"];
    let report = run_json(arguments(&edits, &dump, &files));
    for catalogue in [&mut one, &mut other] {
        let edited = [("bash", "5.3"), ("fish", "4.0"), ("zsh", "5.10")];
        catalogue.extend(edited.map(|(key, version)| (key.to_owned(), version.to_owned())));
    }
    assert_eq!(dumped(&dump, &["a", "b"]), union(&[one, other]));
    assert_eq!(report["edits"]["count"], 3);
    assert!(report["edits"]["bytes_sent"].as_u64().unwrap() < 2_000, "{report}");
    assert_eq!(report["sessions"], 1, "the first contact; edits travel without a session of their own");
}

#[test]
fn edits_of_one_package_on_two_replicas_are_a_conflict_again() {
    let directory = tempfile::tempdir().unwrap();
    let same: Catalogue = [("bash".to_owned(), "5.1".to_owned())].into();
    let files = write_all(directory.path(), &[same.clone(), same]);
    let dump = directory.path().join("dump");
    let edits = ["--edit", "bash=5.2@a", "--edit", "bash=5.3@b"];
    let report = run_json(arguments(&edits, &dump, &files));
    // The second edit may have seen the first one arrive, and then stands on it.
    let dump = dumped(&dump, &["a", "b"]);
    assert!(dump == "bash\t5.2,5.3\n" || dump == "bash\t5.3\n", "{dump}");
    assert_eq!(report["converged"], true);
}
