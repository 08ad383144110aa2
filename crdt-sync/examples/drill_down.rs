//! How two shops find what their catalogues hold differently: three sessions, each by another way,
//! with the trace of what was said.
//!
//! `cargo run -p crdt-sync --example drill_down`

#![expect(clippy::print_stdout, reason = "the trace is for reading")]

use std::collections::BTreeMap;

use crdt_sync::merkle::{
    BucketTree, Item, ItemSource, KeyHash, Limits, Outcome, Prefix, Session, TreeError, TreeKey,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let by_tree = Limits { max_sketch_cells: 0, ..Limits::default() };

    println!("Two prices differ, and one article is new; by the tree:\n");
    let (mut here, mut there) = catalogues(4_000)?;
    compare(&mut here, &mut there, by_tree)?;

    println!("\nThe same, by whatever takes the fewest bytes:\n");
    compare(&mut here, &mut there, Limits::default())?;

    println!("\nA shop that opened yesterday:\n");
    let (mut new, _) = catalogues(50)?;
    compare(&mut new, &mut there, Limits::default())?;
    Ok(())
}

/// A catalogue of so many articles, and one where two of them cost something else and one is new.
fn catalogues(articles: u64) -> Result<(Catalogue, Catalogue), TreeError> {
    let (mut here, mut there) = (Catalogue::new()?, Catalogue::new()?);
    for article in 0..articles {
        let name = format!("article {article}");
        here.add(&name, 100)?;
        there.add(&name, if article == 17 || article == 33 { 95 } else { 100 })?;
    }
    there.add("article of the week", 80)?;
    Ok((here, there))
}

fn compare(
    here: &mut Catalogue,
    there: &mut Catalogue,
    limits: Limits,
) -> Result<(), Box<dyn std::error::Error>> {
    // Nonces come from a random source; constants make this example print the same each time.
    let mut initiator = Session::initiate(here.tree.snapshot(), [1; 16], limits);
    let mut acceptor = Session::accept(there.tree.snapshot(), [2; 16], limits);
    loop {
        if let Some(frame) = initiator.poll_frame() {
            acceptor.handle(&frame, there)?;
        } else if let Some(frame) = acceptor.poll_frame() {
            initiator.handle(&frame, here)?;
        } else {
            break;
        }
    }
    print!("{}", initiator.trace());
    println!("this side  {}", here.report(&initiator));
    println!("the other  {}", there.report(&acceptor));
    Ok(())
}

/// Articles and prices by key hash, with the tree over them. A price is its version.
struct Catalogue {
    tree: BucketTree,
    articles: BTreeMap<KeyHash, (u64, String, u128)>,
}

impl Catalogue {
    fn new() -> Result<Self, TreeError> {
        Ok(Self { tree: BucketTree::new(&TreeKey::new([7; 16]), 8)?, articles: BTreeMap::new() })
    }

    fn add(&mut self, name: &str, price: u128) -> Result<(), TreeError> {
        let key_hash = self.tree.key_hash(name.as_bytes());
        self.tree.insert(key_hash, price)?;
        let handle = self.articles.len() as u64;
        self.articles.insert(key_hash, (handle, name.to_owned(), price));
        Ok(())
    }

    fn report(&self, session: &Session) -> String {
        let difference = match session.outcome() {
            Some(Outcome::Differs(difference)) => difference,
            Some(Outcome::SendAll) => return "sends everything".to_owned(),
            Some(Outcome::Converged) | None => return "holds the same".to_owned(),
        };
        let names: Vec<&str> = self
            .articles
            .values()
            .filter(|(handle, ..)| difference.send.binary_search(handle).is_ok())
            .map(|(_, name, _)| name.as_str())
            .take(4)
            .collect();
        let sent = difference.send.len();
        format!(
            "sends {sent} ({}{}), gets {}",
            names.join(", "),
            if sent > 4 { ", .." } else { "" },
            difference.receive
        )
    }
}

impl ItemSource for Catalogue {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        for (&key_hash, &(handle, _, version)) in self.articles.range(part.start()..=part.end()) {
            f(Item { handle, key_hash, version });
        }
    }
}
