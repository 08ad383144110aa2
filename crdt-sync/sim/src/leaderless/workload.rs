//! Random clients of a leaderless world: quorum writes and reads at all levels, of a few keys.

use core::time::Duration;

use crdt_sync::leaderless::coordinate::{Fallbacks, ReadOptions, Repair, WriteOptions};
use crdt_sync::{Action, Bytes, Collection, ItemKey, Kind, Strategy, Write};
use quorum::Level;

use super::model::Model;
use crate::dice::Dice;

/// Elements that are added and removed again and again.
const COMMON: [&str; 2] = ["milk", "bread"];
/// Of 1000 operations, how many read.
const READS: u32 = 350;
/// Of 1000 operations, how many are at `QUORUM`, of strict ones the most.
const QUORUMS: u32 = 600;
/// Of 1000 operations, how many let fallbacks stand in.
const SLOPPY: u32 = 350;

/// One of each kind whose outcome can be said from what clients know.
pub(crate) fn collections() -> Vec<Collection> {
    vec![
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
        Collection::documents("notes", Strategy::Keep),
    ]
}

/// What a client asks of a node.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Read { item: ItemKey, options: ReadOptions },
    Write { write: Write, options: WriteOptions, read_first: Option<ReadOptions> },
}

/// One operation, made up from dice of its own.
pub(super) struct Draft<'d> {
    pub(super) dice: &'d mut Dice,
    pub(super) number: u32,
    pub(super) keys: usize,
    pub(super) model: &'d Model,
}

impl Draft<'_> {
    pub(super) fn operation(&mut self) -> Operation {
        let (kind, item) = self.item();
        if self.dice.chance(READS) {
            return Operation::Read { item, options: self.read_options() };
        }
        let action = match kind {
            Kind::Set => self.set_action(&item),
            Kind::Document if self.dice.chance(300) => Action::Delete,
            Kind::Document => Action::Put(self.fresh()),
            Kind::Counter if self.dice.chance(200) => Action::Decrement(1 + self.dice.below(9)),
            Kind::Counter => Action::Increment(1 + self.dice.below(9)),
            _ => Action::Set(Some(self.fresh())),
        };
        // Whoever removes has mostly seen what there is.
        let reads = if matches!(action, Action::Remove(_) | Action::Delete) { 700 } else { 100 };
        let read_first = self.dice.chance(reads).then_some(ReadOptions {
            timeout: Duration::from_millis(400),
            speculate: Some(Duration::from_millis(120)),
            ..ReadOptions::QUORUM
        });
        let write = Write { collection: item.collection, key: item.key, action };
        Operation::Write { write, options: self.write_options(), read_first }
    }

    fn write_options(&mut self) -> WriteOptions {
        WriteOptions {
            level: self.level(),
            primaries: 0,
            fallbacks: self.fallbacks(),
            timeout: Duration::from_millis(200 + self.dice.below(600)),
            retry: Duration::from_millis(60 + self.dice.below(120)),
        }
    }

    fn read_options(&mut self) -> ReadOptions {
        let repair = match self.dice.below(10) {
            0 | 1 => Repair::Never,
            2..=4 => Repair::Afterwards,
            _ => Repair::Before,
        };
        ReadOptions {
            level: self.level(),
            primaries: 0,
            fallbacks: self.fallbacks(),
            timeout: Duration::from_millis(200 + self.dice.below(600)),
            speculate: self.dice.chance(700).then(|| Duration::from_millis(20 + self.dice.below(120))),
            repair,
            digests: self.dice.chance(800),
        }
    }

    fn level(&mut self) -> Level {
        if self.dice.chance(QUORUMS) {
            return Level::Quorum;
        }
        if self.dice.chance(700) { Level::One } else { Level::All }
    }

    fn fallbacks(&mut self) -> Fallbacks {
        if self.dice.chance(SLOPPY) { Fallbacks::Sloppy } else { Fallbacks::Strict }
    }

    fn set_action(&mut self, item: &ItemKey) -> Action {
        match self.dice.below(10) {
            0..=3 => Action::Add(self.fresh()),
            4 => Action::Add(self.common()),
            _ => {
                let added = self.model.added_lately(item);
                let element = self.dice.pick(&added).cloned();
                Action::Remove(element.unwrap_or_else(|| COMMON[0].into()))
            }
        }
    }

    fn item(&mut self) -> (Kind, ItemKey) {
        let collections = collections();
        let collection = &collections[self.dice.index(collections.len())];
        let key = Bytes::from(format!("key {}", self.dice.index(self.keys)).as_str());
        (collection.kind, ItemKey { collection: collection.id(), key })
    }

    fn fresh(&mut self) -> Bytes {
        format!("value {}", self.number).as_str().into()
    }

    fn common(&mut self) -> Bytes {
        COMMON[self.dice.index(COMMON.len())].into()
    }
}
