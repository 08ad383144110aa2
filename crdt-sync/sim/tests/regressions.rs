//! Seeds that once broke a promise, and what it was.
//!
//! A seed leads somewhere else when the engine or the world changes, so these guard the fixes loosely; what they say
//! stays true. A row with cuts is a schedule that was made smaller.

use crdt_sync_sim::{Extra, Extras, Fault, Scenario, Schedule, Size, Topology};

/// What was broken once, and the runs in which it showed.
struct Regression {
    once: &'static str,
    size: Size,
    faults: Faults,
    seeds: &'static [u64],
}

#[derive(Clone, Copy)]
enum Faults {
    All,
    None,
}

const REGRESSIONS: [Regression; 18] = [
    Regression {
        once: "a greeting that was overtaken counted as an offence",
        size: Size::Quick,
        faults: Faults::None,
        seeds: &[3],
    },
    Regression {
        once: "a greeting that was overtaken counted as an offence",
        size: Size::Quick,
        faults: Faults::All,
        seeds: &[0],
    },
    Regression {
        once: "a greeting that was lost was never said again",
        size: Size::Quick,
        faults: Faults::All,
        seeds: &[7, 16],
    },
    Regression {
        once: "a frontier that was lost was not asked for",
        size: Size::Quick,
        faults: Faults::None,
        seeds: &[0],
    },
    Regression {
        once: "a frontier that came late was not asked for",
        size: Size::Quick,
        faults: Faults::All,
        seeds: &[1],
    },
    Regression {
        once: "states that overtook their sender's standing counted as an offence",
        size: Size::Quick,
        faults: Faults::All,
        seeds: &[2, 23],
    },
    Regression {
        once: "a late copy of an opening began its session again",
        size: Size::Quick,
        faults: Faults::All,
        seeds: &[790],
    },
    Regression {
        once: "a document that lacked history which another node had counted as different",
        size: Size::Quick,
        faults: Faults::All,
        seeds: &[48],
    },
    Regression {
        once: "a command that its node came up without was asked for when the disk was taken in the same moment",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[122, 172, 679, 808],
    },
    Regression {
        once: "an entry that was lost and written again, to the byte, counted as one that came back",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[184],
    },
    Regression {
        once: "what a command overwrote itself was written by nobody, though its beginning had arrived elsewhere",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[257],
    },
    Regression {
        once: "what a retired node held on a copy of its disk was asked for, though the last look at it reported it",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[27],
    },
    Regression {
        once: "a disk that rotted when it had just been restored was short, and nobody noticed",
        size: Size::Quick,
        faults: Faults::All,
        seeds: &[901],
    },
    Regression {
        once: "a version that a retired node found and named was asked for, though who made it was reported",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[84],
    },
    Regression {
        once: "what a node held that came up and heard of a retirement between two looks counted as merged back",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[862],
    },
    Regression {
        once: "what a retired node wrote with a clock that was ahead counted as lost when it was made again",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[2753],
    },
    Regression {
        once: "a replay was refused as long as the run lasted, because two clocks were wrong by more than a minute",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[4500],
    },
    Regression {
        once: "a version that a command found and named was asked for, though the disk was lost that alone had it",
        size: Size::Full,
        faults: Faults::All,
        seeds: &[4533],
    },
];

fn holds(seed: u64, scenario: Scenario) {
    if let Err(failure) = Schedule::new(seed, scenario).run() {
        panic!("{failure}");
    }
}

#[test]
fn what_was_broken_once_holds() {
    for Regression { once, size, faults, seeds } in &REGRESSIONS {
        let mut scenario = Scenario::new(*size);
        if matches!(faults, Faults::None) {
            scenario.faults.clear();
        }
        for seed in *seeds {
            if let Err(failure) = Schedule::new(*seed, scenario.clone()).run() {
                panic!("{once}, and now: {failure}");
            }
        }
    }
}

/// A device that came back made a part of what it wrote to a key again, and said nothing of the rest, whose entries it
/// kept no longer.
#[test]
fn what_a_retired_node_kept_no_longer_is_reported() {
    let scenario = Scenario { shape: None, ..Scenario::new(Size::Quick).with_extras(Extra::Retirement) };
    holds(202, scenario);
}

/// The clock of the node in a retired one's place was set back by more than a minute, and the operator asked it in vain
/// for as long as the run lasted.
#[test]
fn a_clock_that_keeps_a_replay_from_being_made_is_set_right() {
    let mut scenario = Scenario::new(Size::Quick).with_extras(Extra::Retirement);
    scenario.faults = [Fault::ClockSetForward, Fault::ClockSetBack].into();
    holds(31, scenario);
}

/// A session that was given up brought a key to a node before its entry. When the entry had come, and changed nothing,
/// the node named less to its clients than it showed them, and another answered them with an older value.
#[test]
fn a_client_that_was_shown_what_came_ahead_of_its_entry_is_shown_no_older_value() {
    let scenario = Scenario::new(Size::Quick).with_extras(Extras::Just(Extra::ALL.into()));
    holds(1927, scenario);
}

/// A new node got a document's first entry and not its last, which nobody kept; and a disk of the past was told news by
/// one member before it met another, which held another document in the place of the one that all had forgotten.
#[test]
fn what_was_forgotten_does_not_come_back_by_an_entry_or_from_a_disk_of_the_past() {
    let scenario = Scenario::new(Size::Quick).with_extras(Extra::Forgetting);
    for seed in [46, 60, 84, 89] {
        holds(seed, scenario.clone());
    }
}

/// A session that was given up brought deletions ahead of entries that were then lost with a disk. One node after the
/// other forgot them, and each had them back from the next.
#[test]
fn deletions_that_came_ahead_of_entries_that_are_lost_do_not_go_back_and_forth() {
    let runs = [(Size::Quick, Extra::Forgetting.into(), 604)];
    let all = Extras::Just(Extra::ALL.into());
    for (size, extras, seed) in
        runs.into_iter().chain([(Size::Quick, all.clone(), 188), (Size::Full, all, 38)])
    {
        let scenario = Scenario::new(size).with_extras(extras);
        holds(seed, scenario);
    }
}

/// A session that was given up had brought a document ahead of its entry, and that lay beyond the end of its writer
/// when it was retired. Whoever lacked it passed for having forgotten it, and it vanished from where a client had seen
/// it.
#[test]
fn what_a_retired_node_wrote_beyond_its_end_stays_where_it_was_seen() {
    let scenario = Scenario::new(Size::Full).with_extras(Extras::Drawn);
    holds(2413, scenario);
}

/// A copy of a document which for good showed more than the frontier did, as its writer was retired, refused the copy
/// of another node that was old to it, for all that this one ended in nothing else: sessions went on for ever.
#[test]
fn a_copy_that_ends_in_nothing_else_is_merged_however_old_it_is() {
    holds(4273, Scenario::new(Size::Quick).with_extras(Extras::Drawn));
}

/// A partial replica whose disk was replaced by an older one had heard of what it wrote since, and passed for holding
/// it.
#[test]
fn what_a_partial_replica_wrote_on_a_disk_that_was_lost_it_has_only_heard_of() {
    for seed in [1291, 1320] {
        let scenario = Scenario::new(Size::Full).with_extras(Extras::Drawn);
        holds(seed, scenario);
    }
}

/// A driver that stood still held back the refusal of a command in a session, which passed for one that was carried
/// out.
#[test]
fn a_refusal_in_a_session_is_heard_where_the_driver_stands_still() {
    let scenario = Scenario::new(Size::Full).with_extras(Extras::Drawn);
    holds(8361, scenario);
}

/// What may come back, and was called lost: a document on a disk of the past whose key was written anew before the disk
/// had caught up, or that it gave to a new node first, which passed it on; one that a retired node had written and the
/// replay made again, what a partial replica found written and every whole node had lost, and a version beside the one
/// that took its place where a history came in pieces.
#[test]
fn what_is_not_promised_of_old_disks_and_of_partial_replicas_is_not_asked_for() {
    let with = |extras: &[Extra]| Extras::Just(extras.iter().copied().collect());
    let runs = [
        (with(&[Extra::Forgetting]), 227),
        (with(&[Extra::Retirement, Extra::Forgetting]), 218),
        (with(&[Extra::Retirement, Extra::Forgetting]), 256),
        (with(&[Extra::Retirement, Extra::Forgetting]), 3907),
        (with(&[Extra::Retirement, Extra::Forgetting]), 4455),
        (with(&Extra::ALL), 127),
        (with(&[Extra::Retirement, Extra::Partial]), 707),
        (with(&[Extra::Retirement, Extra::Partial]), 891),
    ];
    for (extras, seed) in runs {
        let scenario = Scenario::new(Size::Quick).with_extras(extras);
        holds(seed, scenario);
    }
}

/// One side of a fork got the other's history from a third. They went on asking where the two part.
#[test]
fn a_fork_that_is_no_more_is_forgotten() {
    let mut scenario = Scenario::new(Size::Quick).with_extras(Extras::Just(Extra::ALL.into()));
    scenario.faults = [Fault::Partitioned, Fault::PowerLost, Fault::RestoredAndWrote, Fault::Cloned].into();
    holds(686, scenario);
}

/// Runs with forks, in which members are retired and clients go from node to node.
#[test]
fn what_was_broken_once_by_forks_holds() {
    let rows = [
        (
            "what a device had written since its identity was forked went by another name, and it said nothing of it",
            Size::Quick,
            59,
        ),
        ("a token did not tell two histories apart, and was not said to", Size::Quick, 166),
        ("a token did not tell two histories apart, and was not said to", Size::Full, 51),
        ("nobody emptied one side of a fork that could not be healed", Size::Quick, 227),
        (
            "nobody said that the entries of a branch were lost with its writer, and two sides waited",
            Size::Quick,
            1884,
        ),
    ];
    for (once, size, seed) in rows {
        let mut scenario = Scenario::new(size).with_extras(Extras::Just(Extra::ALL.into()));
        scenario.faults.extend(Fault::FORKS);
        if let Err(failure) = Schedule::new(seed, scenario).run() {
            panic!("{once}, and now: {failure}");
        }
    }
}

/// The only snapshot of a leader had rotted, and it offered that again and again to nodes whose disks were lost.
#[test]
fn a_leader_whose_snapshot_rotted_has_another_one() {
    let extras = Extras::Just([Extra::NewLeaders, Extra::Snapshots].into());
    let mut scenario = Scenario::new(Size::Quick).with_topology(Topology::SingleLeader).with_extras(extras);
    scenario.modes = "ALL (*)".parse().expect("a policy");
    holds(3321, scenario);
}

/// Runs in which one node leads.
#[test]
fn what_was_broken_once_with_one_leader_holds() {
    let rows = [
        ("a late report of what was about to be sent again passed for a lie", Size::Quick, 4),
        ("a first word that came twice began a conversation anew", Size::Quick, 0),
        (
            "signs of life of a conversation that did not begin kept a follower waiting for ever",
            Size::Quick,
            6,
        ),
        ("what became of a lost record was told of the one in its place", Size::Quick, 11),
        ("a follower whose log was cut took what came then for durable", Size::Quick, 43),
        ("who had caught up committed what the leader did not show yet when it told", Size::Quick, 30),
        ("a leader refused what it would have written on top of what waited, by its clock", Size::Quick, 496),
        ("a leader whose epoch was not durable commuted between two modes without end", Size::Quick, 664),
        ("a leader that lost the record of its epoch never led again", Size::Quick, 745),
        ("a follower that was ahead of its upstream was cut", Size::Quick, 177),
        ("clients were told of an epoch that began again", Size::Full, 190),
    ];
    for (once, size, seed) in rows {
        let scenario = Scenario::new(size).with_topology(Topology::SingleLeader);
        if let Err(failure) = Schedule::new(seed, scenario).run() {
            panic!("{once}, and now: {failure}");
        }
    }
}
