//! How the leader of a world commits: what is said of it, and what is left to each seed.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crdt_sync::NodeId;
use replication_log::ship::commit::{CommitOptions, Visibility, WhenShort};
use replication_log::ship::policy::Need;
use replication_log::ship::{AckPolicy, Stage};
use thiserror::Error;

use crate::dice::Dice;
use crate::world::name_of;

/// Of how long a record waits before the leader commits alone.
const DEGRADES_AFTER: core::ops::RangeInclusive<Duration> =
    Duration::from_millis(40)..=Duration::from_millis(400);

/// How a leader commits. What is not said each seed draws.
///
/// The text is what is said, with `;` between: a policy as in `docs/single-leader.md`, in which nodes are called by
/// their numbers, or `async`; one of the stages; `block`, `fail-fast` or `degrade`; `after-ack` or `before-ack`. And
/// `drawn` says nothing.
///
/// ```
/// use crdt_sync_sim::Modes;
///
/// let modes: Modes = "ANY 1 (1, 2); applied; fail-fast".parse()?;
/// assert_eq!(modes.to_string(), "ANY 1 (1, 2); applied; fail-fast");
/// assert_eq!("drawn".parse(), Ok(Modes::default()));
/// # Ok::<(), crdt_sync_sim::UnknownMode>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    policy: Option<AckPolicy<String>>,
    stage: Option<Stage>,
    short: Option<Short>,
    visibility: Option<Visibility>,
}

/// What says nothing about how a leader commits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is no way to commit: {cause}")]
pub struct UnknownMode {
    text: String,
    cause: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Short {
    Block,
    FailFast,
    Degrade,
}

const SHORT: [(&str, Short); 3] =
    [("block", Short::Block), ("fail-fast", Short::FailFast), ("degrade", Short::Degrade)];
const VISIBILITIES: [(&str, Visibility); 2] =
    [("after-ack", Visibility::AfterAck), ("before-ack", Visibility::BeforeAck)];

impl Modes {
    /// Whether a leader may come to commit with fewer followers than it should have.
    pub(crate) fn may_degrade(&self) -> bool {
        let needs_some = |policy: &AckPolicy<String>| policy.need() != Need::Nobody;
        self.policy.as_ref().is_none_or(needs_some) && self.short.is_none_or(|short| short == Short::Degrade)
    }

    /// The choices of a seed, in a world of so many followers that may count.
    pub(crate) fn of(&self, seed: u64, candidates: usize) -> CommitOptions<NodeId> {
        let mut dice = Dice::new(seed.rotate_left(48));
        let all: Vec<String> = (1..=candidates).rev().map(|node| node.to_string()).collect();
        let listed = all.join(", ");
        let policies = [
            String::new(),
            "ANY 1 (*)".into(),
            "ANY 2 (*)".into(),
            "ALL (*)".into(),
            "FIRST 1 (*)".into(),
            "FIRST 2 (*)".into(),
            "ANY 1 (1)".into(),
            format!("FIRST 1 ({listed})"),
            format!("ANY 2 ({listed})"),
            format!("ALL ({listed})"),
        ];
        let drawn = dice.pick(&policies).and_then(|text| text.parse().ok());
        // Each is drawn, also where it is said, so that saying one does not change the others.
        let stage = if dice.chance(400) { Stage::Flushed } else { Stage::ALL[dice.index(Stage::ALL.len())] };
        let short = [Short::Block, Short::Block, Short::FailFast, Short::Degrade, Short::Degrade];
        let short = short[dice.index(short.len())];
        let visibility = if dice.chance(750) { Visibility::AfterAck } else { Visibility::BeforeAck };
        let after = dice.span(&DEGRADES_AFTER);
        let policy = self.policy.clone().or(drawn).unwrap_or(AckPolicy::asynchronous());
        let named = policy.with_names(|name| name.parse().ok().map(name_of));
        CommitOptions {
            policy: named.unwrap_or(AckPolicy::asynchronous()),
            stage: self.stage.unwrap_or(stage),
            visibility: self.visibility.unwrap_or(visibility),
            when_short: match self.short.unwrap_or(short) {
                Short::Block => WhenShort::Block,
                Short::FailFast => WhenShort::FailFast,
                Short::Degrade => WhenShort::DegradeToAsync { after },
            },
        }
    }

    fn say(&mut self, word: &str) -> Result<(), String> {
        let stage = Stage::ALL.into_iter().find(|stage| stage.to_string() == word);
        let short = SHORT.iter().find(|(name, _)| *name == word);
        let visibility = VISIBILITIES.iter().find(|(name, _)| *name == word);
        match (stage, short, visibility) {
            (Some(stage), ..) => self.stage = Some(stage),
            (_, Some((_, short)), _) => self.short = Some(*short),
            (.., Some((_, visibility))) => self.visibility = Some(*visibility),
            _ if word == "drawn" => {}
            _ => {
                let text = if word == "async" { "" } else { word };
                let policy: AckPolicy<String> = text.parse().map_err(|error| format!("{error}"))?;
                let numbered = policy.with_names(|name| name.parse::<usize>().ok());
                numbered.map_err(|error| format!("nodes are called by their numbers: {error}"))?;
                self.policy = Some(policy);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |policy: &AckPolicy<String>| match policy.to_string() {
            text if text.is_empty() => "async".into(),
            text => text,
        };
        let short = SHORT.iter().find(|(_, short)| Some(*short) == self.short);
        let visibility = VISIBILITIES.iter().find(|(_, visibility)| Some(*visibility) == self.visibility);
        let said = [
            self.policy.as_ref().map(name),
            self.stage.map(|stage| stage.to_string()),
            short.map(|(name, _)| (*name).into()),
            visibility.map(|(name, _)| (*name).into()),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        if said.is_empty() { f.write_str("drawn") } else { f.write_str(&said.join("; ")) }
    }
}

impl FromStr for Modes {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        let mut modes = Self::default();
        for word in text.split(';').map(str::trim) {
            modes.say(word).map_err(|cause| UnknownMode { text: text.into(), cause })?;
        }
        Ok(modes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_back_and_the_rest_is_drawn() {
        for text in ["drawn", "async", "ANY 1 (*); flushed; degrade; before-ack", "ALL (1, 2); block"] {
            assert_eq!(text.parse::<Modes>().unwrap().to_string(), text);
        }
        assert!("ANY 1 (paris)".parse::<Modes>().unwrap_err().to_string().contains("numbers"));
        let may_degrade = |text: &str| text.parse::<Modes>().unwrap().may_degrade();
        assert!(may_degrade("drawn") && may_degrade("ANY 1 (*)") && may_degrade("ALL (*); degrade"));
        assert!(!may_degrade("async") && !may_degrade("ANY 1 (*); block"));
        let said: Modes = "ANY 1 (*)".parse().unwrap();
        let stages: Vec<_> = (0..40).map(|seed| said.of(seed, 2).stage).collect();
        assert!(Stage::ALL.iter().all(|stage| stages.contains(stage)));
        assert!((0..40).all(|seed| said.of(seed, 2).policy == AckPolicy::semi_sync()));
    }
}
