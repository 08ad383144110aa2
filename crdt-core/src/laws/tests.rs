use core::cmp::Ordering;

use super::*;
use crate::Change;

/// Merges to the maximum, with one flaw of choice.
#[derive(Clone, Debug, Default, PartialEq)]
struct Flawed<const FLAW: usize>(u64);

const SOUND: usize = 0;
const LYING: usize = 1;
const SHRINKING: usize = 2;
const PARTISAN: usize = 3;
const MISJUDGING: usize = 4;

impl<const FLAW: usize> Crdt for Flawed<FLAW> {
    fn merge(&mut self, other: &Self) -> Change {
        let before = self.0;
        self.0 = match FLAW {
            SHRINKING if before > 0 && other.0 > 0 => before.min(other.0),
            PARTISAN if other.0 > 0 => other.0,
            _ => before.max(other.0),
        };
        Change::from(FLAW == LYING || self.0 != before)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(if FLAW == MISJUDGING { Ordering::Equal } else { self.0.cmp(&other.0) })
    }

    fn is_bottom(&self) -> bool {
        self.0 == 0
    }
}

fn verdict<const FLAW: usize>() -> Result<(), Law> {
    check_laws(&Flawed::<FLAW>(1), &Flawed(3), &Flawed(2)).map_err(|violation| violation.law)
}

#[test]
fn each_flaw_is_called_by_the_name_of_the_law_it_breaks() {
    assert_eq!(verdict::<SOUND>(), Ok(()));
    assert_eq!(verdict::<LYING>(), Err(Law::ChangeTellsTheTruth));
    assert_eq!(verdict::<PARTISAN>(), Err(Law::Commutative));
    assert_eq!(verdict::<SHRINKING>(), Err(Law::Inflationary));
    assert_eq!(verdict::<MISJUDGING>(), Err(Law::CompareAgreesWithMerge));
}

/// Sound as a state; its deltas have one flaw of choice.
#[derive(Clone, Debug, Default, PartialEq)]
struct FlawedDeltas<const FLAW: usize>(Flawed<SOUND>);

const FORGETFUL: usize = 1;
const TALKATIVE: usize = 2;
const INVENTIVE: usize = 3;
const LOSSY: usize = 4;
const REPETITIVE: usize = 5;

impl<const FLAW: usize> Crdt for FlawedDeltas<FLAW> {
    fn merge(&mut self, other: &Self) -> Change {
        self.0.merge(&other.0)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        self.0.compare(&other.0)
    }

    fn is_bottom(&self) -> bool {
        self.0.is_bottom()
    }
}

impl<const FLAW: usize> DeltaCrdt for FlawedDeltas<FLAW> {
    type Digest = u64;

    fn digest(&self) -> u64 {
        self.0.0
    }

    fn delta_since(&self, digest: &u64) -> Self {
        let value = self.0.0;
        Self(Flawed(match FLAW {
            FORGETFUL => 0,
            TALKATIVE => value,
            INVENTIVE if value < *digest => *digest,
            _ if value <= *digest => 0,
            _ => value,
        }))
    }

    fn split(&self) -> alloc::vec::Vec<Self> {
        let copies = match FLAW {
            LOSSY => 0,
            REPETITIVE => 2 * usize::from(!self.is_bottom()),
            _ => usize::from(!self.is_bottom()),
        };
        alloc::vec![self.clone(); copies]
    }
}

fn delta_verdict<const FLAW: usize>() -> Result<(), Law> {
    let [a, b, c] = [1, 3, 2].map(|value| FlawedDeltas::<FLAW>(Flawed(value)));
    check_delta_laws(&a, &b, &c).map_err(|violation| violation.law)
}

#[test]
fn each_flawed_delta_is_called_by_the_name_of_the_law_it_breaks() {
    assert_eq!(delta_verdict::<SOUND>(), Ok(()));
    assert_eq!(delta_verdict::<FORGETFUL>(), Err(Law::DeltaComplete));
    assert_eq!(delta_verdict::<TALKATIVE>(), Err(Law::DeltaExact));
    assert_eq!(delta_verdict::<INVENTIVE>(), Err(Law::DeltaHonest));
    assert_eq!(delta_verdict::<LOSSY>(), Err(Law::PartsMakeTheWhole));
    assert_eq!(delta_verdict::<REPETITIVE>(), Err(Law::PartsIrredundant));
}
