//! A notebook is offline for a week, while the office goes on.
//!
//! Run it with `cargo run --release -p crdt-sync-driver --example offline_week`. Both are real nodes: a directory
//! with a durable log, and TCP on this machine's loopback. The week passes in a moment, but its work is done.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example tells its story on the terminal, and picks a temporary directory"
)]

use std::error::Error;

use crdt_sync::{ClusterKey, Collection, Strategy};
use crdt_sync_driver::{Node, NodeOptions};

const DAYS: [&str; 5] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"];
const ORDERS_A_DAY: usize = 400;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let orders = Collection::registers("orders");
    let visits = Collection::counters("visits");
    let reports = Collection::documents("reports", Strategy::Keep);
    let firm = || {
        NodeOptions::new(ClusterKey::from_bytes(*b"the whole office"))
            .collection(orders.clone())
            .collection(visits.clone())
            .collection(reports.clone())
            .listen(([127, 0, 0, 1], 0))
    };
    let home = tempfile::tempdir()?;
    let at = home.path().join("notebook");
    let office = Node::open(home.path().join("office"), firm()).await?;
    let notebook = Node::open(&at, firm()).await?;

    println!("Sunday: both hold the same, and the notebook leaves for a week.");
    notebook.connect(office.local_addr().ok_or("it listens")?)?;
    office.documents(&reports).put("week", "to be written").await?;
    notebook.in_sync_with(1).await?;
    office.in_sync_with(1).await?;
    notebook.shutdown().await;

    for day in DAYS {
        // The office: a day's orders, each batch of them written together with their number.
        let mut batch = office.batch().increment(&visits, day, ORDERS_A_DAY as u64);
        for number in 0..ORDERS_A_DAY {
            batch = batch.set(&orders, format!("{day}-{number:03}").as_str(), "ordered by telephone");
        }
        batch.commit().await?;

        // The notebook: opened in the morning, closed in the evening, and never online.
        let notebook = Node::open(&at, firm()).await?;
        notebook
            .batch()
            .set(&orders, format!("{day}-on-site").as_str(), "ordered by handshake")
            .increment(&visits, day, 1)
            .commit()
            .await?;
        notebook.shutdown().await;
        println!("{day}: {ORDERS_A_DAY} orders in the office, one on the road.");
    }
    office.documents(&reports).put("week", "Sales by telephone are up.").await?;

    println!("Saturday: the notebook is back.");
    let notebook = Node::open(&at, firm()).await?;
    notebook.documents(&reports).put("week", "Customers like to see us.").await?;
    let mut news = notebook.counters(&visits).watch().await?;
    notebook.connect(office.local_addr().ok_or("it listens")?)?;
    for _ in DAYS {
        let change = news.next().await?;
        println!("   the notebook hears of {}: {} visits", change.key, change.now);
    }
    notebook.in_sync_with(1).await?;
    office.in_sync_with(1).await?;
    let (traffic, all) = (notebook.traffic(), notebook.encoded_size().await?);
    let bytes = traffic.bytes_sent + traffic.bytes_received;
    println!("   {bytes} bytes went to and fro for a state of {all} bytes.");
    println!("   The office knows of Monday's order on site: {:?}.", {
        office.registers(&orders).get("Monday-on-site").await?.map(|order| order.to_string())
    });

    println!("Both wrote the report. Neither version is lost, and somebody decides:");
    let report = office.documents(&reports).document("week").await?.unwrap_or_default();
    for version in report.live_leaves() {
        println!("   - {}", version.body().map(ToString::to_string).unwrap_or_default());
    }
    office.documents(&reports).resolve("week", "Sales are up, and customers like to see us.").await?;
    office.in_sync_with(1).await?;
    let report = notebook.documents(&reports).read("week").await?;
    println!("   On the notebook it now reads: {}", report.value.unwrap_or_default());

    notebook.shutdown().await;
    office.shutdown().await;
    Ok(())
}
