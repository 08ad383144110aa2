//! Three devices share a shopping list, and one of them goes on without the others for a while.
//!
//! Run it with `cargo run --release --example shopping_list`. Every device is a real node: a directory with a
//! durable log, and TCP on this machine's loopback.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example tells its story on the terminal, and picks a temporary directory"
)]

use std::error::Error;

use conflict_store::{Conflict, Custom, Resolution, Resolver};
use crdt_sync::{Bytes, ClusterKey, Collection, Strategy};
use crdt_sync_driver::{Counters, Documents, Node, NodeOptions, Registers, Sets};

/// The rule for notes. Its name is part of the collection, so that all devices apply the same one.
const JOIN_LINES: &str = "join-lines";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let phone = Device::open("phone", home.path()).await?;
    let tablet = Device::open("tablet", home.path()).await?;
    let laptop = Device::open("laptop", home.path()).await?;

    println!("1. All three are online. Ann starts the list on her phone.");
    phone.connect_to(&[&tablet, &laptop])?;
    tablet.connect_to(&[&laptop])?;
    phone.titles.set("groceries", "Groceries").await?;
    phone.lists.add("groceries", "milk").await?;
    phone.lists.add("groceries", "bread").await?;
    phone.notes.put("groceries", "Back by six.").await?;
    all_agree([&phone, &tablet, &laptop]).await?;
    show([&phone, &tablet, &laptop]).await?;

    println!("2. Ann walks into a cellar: her phone is offline, and goes on working.");
    phone.node.disconnect().await;
    phone.lists.remove("groceries", "milk").await?;
    phone.lists.add("groceries", "wine").await?;
    phone.bought.increment("groceries", 1).await?;
    phone.notes.put("groceries", "Back by six. Milk is in the cellar!").await?;

    println!("   Meanwhile Bob uses the tablet and Cleo the laptop.");
    tablet.lists.add("groceries", "milk").await?;
    tablet.lists.remove("groceries", "bread").await?;
    tablet.bought.increment("groceries", 1).await?;
    laptop.notes.put("groceries", "Back by six. Bring cash.").await?;
    laptop.titles.set("groceries", "Dinner on Friday").await?;
    all_agree([&tablet, &laptop]).await?;
    show([&phone, &tablet, &laptop]).await?;

    println!("3. Ann is back. Nobody's work is lost, and all devices say the same:");
    println!("   - milk stays: Ann removed the milk she saw, Bob put it on the list once more;");
    println!("   - both purchases count; the later title stands;");
    println!("   - of the two notes the rule `{JOIN_LINES}` makes one.");
    phone.connect_to(&[&tablet, &laptop])?;
    all_agree([&phone, &tablet, &laptop]).await?;
    show([&phone, &tablet, &laptop]).await?;

    println!(
        "4. Cleo reads the joined note, likes it, and writes it down: the conflict is over for everyone."
    );
    let reading = laptop.notes.read("groceries").await?;
    laptop.notes.resolve("groceries", reading.value.unwrap_or_default()).await?;
    all_agree([&phone, &tablet, &laptop]).await?;
    let note = phone.notes.document("groceries").await?.unwrap_or_default();
    println!("   On Ann's phone the note has {} version to show.\n", note.live_leaves().count());

    for device in [phone, tablet, laptop] {
        device.node.shutdown().await;
    }
    Ok(())
}

/// One device: a node and what it keeps.
struct Device {
    name: &'static str,
    node: Node,
    lists: Sets,
    bought: Counters,
    titles: Registers,
    notes: Documents,
}

impl Device {
    async fn open(name: &'static str, home: &std::path::Path) -> Result<Self, Box<dyn Error>> {
        let lists = Collection::sets("lists");
        let bought = Collection::counters("bought");
        let titles = Collection::registers("titles");
        let notes = Collection::documents("notes", Strategy::Custom(JOIN_LINES.into()));
        let options = [&lists, &bought, &titles, &notes]
            .into_iter()
            .fold(NodeOptions::new(ClusterKey::from_bytes(*b"our kitchen door")), |options, collection| {
                options.collection(collection.clone())
            })
            .rule(join_lines())
            .listen(([127, 0, 0, 1], 0));
        let node = Node::open(home.join(name), options).await?;
        Ok(Self {
            name,
            lists: node.sets(&lists),
            bought: node.counters(&bought),
            titles: node.registers(&titles),
            notes: node.documents(&notes),
            node,
        })
    }

    fn connect_to(&self, others: &[&Self]) -> Result<(), Box<dyn Error>> {
        for other in others {
            self.node.connect(other.node.local_addr().ok_or("every device listens")?)?;
        }
        Ok(())
    }
}

/// The rule: every sentence that anybody wrote, once, in the order of the alphabet.
fn join_lines() -> impl Resolver<Bytes> + Send + Sync {
    Custom::new(JOIN_LINES, |conflict: &Conflict<'_, Bytes>| {
        let text = |body: &Bytes| body.to_string();
        let mut sentences: Vec<String> = conflict
            .bodies()
            .flat_map(|body| {
                text(body).split_inclusive(['.', '!']).map(|s| s.trim().to_owned()).collect::<Vec<_>>()
            })
            .collect();
        sentences.sort();
        sentences.dedup();
        Resolution::Merge(Bytes::from(sentences.join(" ").as_str()))
    })
}

/// Waits until every device knows of every other that they hold the same.
async fn all_agree<const N: usize>(devices: [&Device; N]) -> Result<(), Box<dyn Error>> {
    for device in devices.iter().chain(&devices) {
        device.node.in_sync_with(N - 1).await?;
    }
    Ok(())
}

async fn show<const N: usize>(devices: [&Device; N]) -> Result<(), Box<dyn Error>> {
    for device in devices {
        let title = device.titles.get("groceries").await?.unwrap_or_default();
        let items: Vec<String> =
            device.lists.elements("groceries").await?.iter().map(ToString::to_string).collect();
        let bought = device.bought.value("groceries").await?;
        let note = device.notes.read("groceries").await?.value.unwrap_or_default();
        println!("   {:<7}| {title}: {} | bought: {bought} | {note}", device.name, items.join(", "));
    }
    println!();
    Ok(())
}
