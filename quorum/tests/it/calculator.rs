//! The page that the calculator prints.

use quorum::{Probability, QuorumConfig};

fn report(n: u32, r: u32, w: u32) -> String {
    let failures = [0.01, 0.1].map(|p| Probability::new(p).expect("a probability"));
    QuorumConfig::new(n, r, w).expect("a sound configuration").report(failures).to_string()
}

#[test]
fn five_nodes_of_which_reads_ask_two_and_writes_three() {
    let page = "\
N=5 R=2 W=3: stale reads
  a read may miss a write that has completed
  two writes meet in at least 1 replica
  reads survive the failure of 3 replicas, writes of 2 replicas
  not linearizability, and no reading of one's own writes: a read may return an older value
  write ###..
  read  ...##
  both  .....
shared at least
  by a read and a write: 0
  by two writes: 1
  by two reads: 0
failures survived
  by reads: 3
  by writes: 2
  by both: 2
available, if each node is down with some probability
  down     reads        writes       both
  0.01     0.9999999504 0.9999901494 0.9999901494
  0.1      0.9995400000 0.9914400000 0.9914400000
stale, if quorums are chosen evenly and nothing is repaired
  a read that misses the last write: 0.1
  a read that returns the last version: 0.9
  a read that returns one of the last 2: 0.99
  a read that returns one of the last 3: 0.999
  a read that returns one of the last 4: 0.9999
  a read that returns one of the last 5: 0.99999
waiting, if one answer takes 1 in the mean, exponentially distributed
  reads: 0.45 in the mean, 1.504752 for 99 of 100
  writes: 0.783333 in the mean, 2.24772 for 99 of 100
";
    assert_eq!(report(5, 2, 3), page);
}

#[test]
fn the_picture_is_the_worst_case() {
    for n in 1..=9 {
        for r in 1..=n {
            for w in 1..=n {
                let page = report(n, r, w);
                let marks = |title: &str| {
                    let row = page.lines().find_map(|line| line.strip_prefix(title)).expect("a row");
                    u32::try_from(row.matches('#').count()).expect("few")
                };
                let overlap = QuorumConfig::new(n, r, w).expect("sound").read_write_overlap();
                assert_eq!((marks("  write"), marks("  read "), marks("  both ")), (w, r, overlap));
            }
        }
    }
}

#[test]
fn any_configuration_has_a_page() {
    let wide = report(u32::MAX, 1, u32::MAX);
    assert!(!wide.contains("##"), "too wide to draw");
    assert!(wide.contains("a read that misses the last write: 0\n"), "{wide}");
    assert!(wide.lines().all(|line| line.len() < 120));
    let alone = QuorumConfig::new(1, 1, 1).expect("sound").report([]).to_string();
    assert!(!alone.contains("available"), "{alone}");
}
