//! Five nodes, three copies of everything, and one of them away while somebody writes.
//!
//! Run it with `cargo run -p crdt-sync-driver --example quorum`. All five are real nodes: a directory with a durable
//! log, and TCP on this machine's loopback.
#![allow(clippy::print_stdout, reason = "an example tells its story on the terminal")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use crdt_sync::leaderless::LeaderlessConfig;
use crdt_sync::leaderless::coordinate::{Fallbacks, ReadOptions, WriteOptions};
use crdt_sync::placement::{Layout, Member, Shape};
use crdt_sync::{ClusterKey, Collection, Event, NodeId};
use crdt_sync_driver::{Node, NodeOptions};

const RACKS: [&str; 5] = ["north", "north", "south", "south", "west"];

fn id_of(number: usize) -> NodeId {
    NodeId::from_u128(number as u128 + 1)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let members = RACKS.iter().enumerate().map(|(number, rack)| Member::new(id_of(number), *rack)).collect();
    let shape = Shape { partitions: 64, replicas: 3, write_quorum: 2 };
    let ring = LeaderlessConfig::new(Layout::found(members, shape)?);
    let titles = Collection::registers("titles");
    let options = |number: usize, address: SocketAddr| {
        NodeOptions::new(ClusterKey::from_bytes(*b"three of five do"))
            .collection(titles.clone())
            .leaderless(ring.clone())
            .node(id_of(number))
            .listen(address)
    };
    let home = tempfile::tempdir()?;
    let path = |number: usize| home.path().join(number.to_string());

    let mut nodes: Vec<Option<Node>> = Vec::new();
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for number in 0..5 {
        let node = Node::open(path(number), options(number, ([127, 0, 0, 1], 0).into())).await?;
        addresses.iter().try_for_each(|earlier| node.connect(*earlier))?;
        addresses.push(node.local_addr().ok_or("it listens")?);
        nodes.push(Some(node));
    }
    see_each_other(&nodes).await?;

    // Who is asked for a title, in order: three that hold it, and two that stand in for them.
    let asked =
        nodes.iter().flatten().next().ok_or("all are up")?.ring().nodes_for(&titles, "profile").await?;
    let cast: Vec<usize> = asked.iter().filter_map(|id| (0..5).find(|n| id_of(*n) == *id)).collect();
    let [a, b, c, d, _] = cast[..] else { return Err("five are on the ring".into()) };
    println!("The title lives on {a}, {b} and {c}; {d} is the first to stand in.");

    nodes[a].take().ok_or("it is up")?.shutdown().await;
    see_each_other(&nodes).await?;
    println!("\n{a} is down. {b} writes, and wants three copies, wherever they are:");
    let keeper = nodes[d].clone().ok_or("it is up")?;
    let mut events = keeper.events();
    let sloppy = WriteOptions { fallbacks: Fallbacks::Sloppy, ..WriteOptions::ALL };
    let writer = nodes[b].clone().ok_or("it is up")?;
    let written = writer.quorum().writes(sloppy).registers(&titles).set("profile", "Hello").await?;
    println!("  {}", written.report);
    let at_d = keeper.registers(&titles).get("profile").await?;
    println!("  {d} holds {at_d:?} in place of {a}.");

    println!("\nThe same with copies on the three themselves, and nobody in between:");
    let strict = writer.quorum().writes(WriteOptions::ALL).registers(&titles).set("profile", "Bonjour").await;
    println!("  {}", strict.err().ok_or("it cannot be met")?);

    println!("\n{a} is back:");
    let back = Node::open(path(a), options(a, addresses[a])).await?;
    addresses[..a].iter().try_for_each(|earlier| back.connect(*earlier))?;
    nodes[a] = Some(back.clone());
    while events.recv().await? != (Event::HintsDelivered { owner: id_of(a), hints: 1 }) {}
    let at_a = back.registers(&titles).get("profile").await?;
    println!("  {d} handed over what it kept, and {a} holds {at_a:?}.");
    let read = back.quorum().reads(ReadOptions::QUORUM).registers(&titles).get("profile").await?;
    println!("  A read at QUORUM: {:?}.\n  {}", read.value, read.report);

    drop((writer, keeper, back));
    for node in nodes.into_iter().flatten() {
        node.shutdown().await;
    }
    Ok(())
}

/// Waits until all that are up are connected with each other.
async fn see_each_other(nodes: &[Option<Node>]) -> Result<(), Box<dyn Error>> {
    let up: Vec<&Node> = nodes.iter().flatten().collect();
    for node in &up {
        while node.peers().await?.len() != up.len() - 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}
