//! Which keys a side still sends the states of, each once and ascending.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::cell::Answer;
use crate::replica::{ItemKey, Joined};

/// The keys that the comparison chose, and those beside them of which the peer's state turned out to lack something.
///
/// A peer that holds nothing is sent everything: so the chosen keys lie in one array and stay there, where a search
/// tree of what is to come and another one of what was sent cost as much as all the rest of serving a session.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// What the comparison chose, ascending, with what is sent of each: the whole state as it is when its turn comes,
    /// or what was answered since. Of those that were passed, nothing where nothing was sent.
    chosen: Vec<(ItemKey, Answer)>,
    /// How many of the chosen had their turn.
    passed: usize,
    besides: BTreeMap<ItemKey, Answer>,
    /// Of the keys besides, those that had their turn.
    passed_besides: BTreeSet<ItemKey>,
    /// How many turns are still to come.
    len: usize,
    /// Bytes of the answers that wait for their turn.
    answers: usize,
}

impl Queue {
    /// The comparison chose these keys, which ascend. Answers that are made already stay as they are.
    /// O(keys + answers × log keys).
    pub(super) fn choose(&mut self, keys: Vec<ItemKey>) {
        self.len += keys.len();
        self.chosen = keys.into_iter().map(|key| (key, Answer::Whole)).collect();
        for (key, answer) in core::mem::take(&mut self.besides) {
            if let Ok(at) = self.place_of(&key) {
                self.chosen[at].1 = answer;
                self.len -= 1;
            } else {
                self.besides.insert(key, answer);
            }
        }
    }

    /// A state of the peer's was joined: what it lacks is sent instead of the whole, and nothing if it lacks nothing.
    /// Answers are kept only up to `max_bytes`; beyond it the whole states are made when their turn comes.
    pub(super) fn answer(&mut self, joined: Joined, max_bytes: usize) {
        let Joined { key, answer } = joined;
        let answer = match answer {
            Answer::Versions(versions) if self.answers + versions.len() > max_bytes => Answer::Whole,
            answer => answer,
        };
        let (is_sent, bytes) = (answer != Answer::Nothing, bytes_of(&answer));
        let before = match self.place_of(&key) {
            Ok(at) if at >= self.passed => core::mem::replace(&mut self.chosen[at].1, answer),
            Ok(at) if self.chosen[at].1 != Answer::Nothing => return,
            _ if self.passed_besides.contains(&key) => return,
            _ if is_sent => self.besides.insert(key, answer).unwrap_or(Answer::Nothing),
            _ => self.besides.remove(&key).unwrap_or(Answer::Nothing),
        };
        self.leaves(&before);
        self.len += usize::from(is_sent);
        self.answers += bytes;
    }

    /// How many keys have their turn still to come.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The next key, and what is sent of it. O(log answers), amortised.
    pub(super) fn pop(&mut self) -> Option<(ItemKey, Answer)> {
        while let Some((_, Answer::Nothing)) = self.chosen.get(self.passed) {
            self.passed += 1;
        }
        let (chosen, beside) = (self.chosen.get_mut(self.passed), self.besides.first_key_value());
        let (key, answer) = match chosen {
            Some((key, answer)) if beside.is_none_or(|(beside, _)| *key < *beside) => {
                self.passed += 1;
                (key.clone(), core::mem::replace(answer, Answer::Whole))
            }
            _ => {
                let (key, answer) = self.besides.pop_first()?;
                self.passed_besides.insert(key.clone());
                (key, answer)
            }
        };
        self.leaves(&answer);
        Some((key, answer))
    }

    /// What was to be sent is sent, or is not to be sent any more.
    fn leaves(&mut self, answer: &Answer) {
        self.len -= usize::from(*answer != Answer::Nothing);
        self.answers -= bytes_of(answer);
    }

    fn place_of(&self, key: &ItemKey) -> Result<usize, usize> {
        self.chosen.binary_search_by(|(chosen, _)| chosen.cmp(key))
    }
}

/// How much memory an answer keeps.
fn bytes_of(answer: &Answer) -> usize {
    match answer {
        Answer::Versions(versions) => versions.len(),
        Answer::Whole | Answer::Nothing => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bytes::Bytes;
    use crate::collection::Collection;

    const MAX_BYTES: usize = 24;

    /// As it is said in the documentation, with a search tree of what is to come and one of what was sent.
    #[derive(Default)]
    struct Oracle {
        pending: BTreeMap<ItemKey, Option<Bytes>>,
        passed: BTreeSet<ItemKey>,
    }

    impl Oracle {
        fn choose(&mut self, keys: &[ItemKey]) {
            for key in keys {
                self.pending.entry(key.clone()).or_insert(None);
            }
        }

        fn answer(&mut self, Joined { key, answer }: Joined) {
            if self.passed.contains(&key) {
                return;
            }
            let kept: usize = self.pending.values().flatten().map(|answer| answer.len()).sum();
            match answer {
                Answer::Nothing => self.pending.remove(&key),
                Answer::Versions(answer) if kept + answer.len() <= MAX_BYTES => {
                    self.pending.insert(key, Some(answer))
                }
                Answer::Versions(_) | Answer::Whole => self.pending.insert(key, None),
            };
        }

        fn pop(&mut self) -> Option<(ItemKey, Option<Bytes>)> {
            let (key, answer) = self.pending.pop_first()?;
            self.passed.insert(key.clone());
            Some((key, answer))
        }
    }

    fn key(number: u8) -> ItemKey {
        ItemKey { collection: Collection::registers("titles").id(), key: [number][..].into() }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Answer(u8, Answer),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        let answer = prop_oneof![
            Just(Answer::Nothing),
            Just(Answer::Whole),
            (0_usize..16).prop_map(|len| Answer::Versions(alloc::vec![7; len].into())),
        ];
        prop_oneof![(0_u8..24, answer).prop_map(|(key, answer)| Step::Answer(key, answer)), Just(Step::Pop)]
    }

    proptest! {
        #[test]
        fn it_gives_out_what_two_search_trees_do(
            early in prop::collection::vec(step(), 0..12),
            chosen in prop::collection::btree_set(0_u8..24, 0..16),
            late in prop::collection::vec(step(), 0..48),
        ) {
            let (mut queue, mut oracle) = (Queue::default(), Oracle::default());
            // Nothing is sent before the comparison chose.
            let early = early.into_iter().filter(|step| !matches!(step, Step::Pop));
            let keys: Vec<_> = chosen.into_iter().map(key).collect();
            for step in early.map(Some).chain([None]).chain(late.into_iter().map(Some)) {
                match step {
                    None => {
                        queue.choose(keys.clone());
                        oracle.choose(&keys);
                    }
                    Some(Step::Answer(number, answer)) => {
                        queue.answer(Joined { key: key(number), answer: answer.clone() }, MAX_BYTES);
                        oracle.answer(Joined { key: key(number), answer });
                    }
                    Some(Step::Pop) => {
                        let popped = queue.pop().map(|(key, answer)| match answer {
                            Answer::Versions(answer) => (key, Some(answer)),
                            Answer::Whole => (key, None),
                            Answer::Nothing => unreachable!("a key of which nothing is sent has no turn"),
                        });
                        prop_assert_eq!(popped, oracle.pop());
                    }
                }
                prop_assert_eq!(queue.len(), oracle.pending.len());
            }
        }
    }
}
