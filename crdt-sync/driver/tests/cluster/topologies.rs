//! Three shapes of a network. Whatever it is, all agree in the end, also when a node was down meanwhile.
//!
//! Entries go from node to node until everybody has them, by whatever way there is; no node needs to know the shape.

use crdt_sync_driver::Node;

use crate::support::{Homes, address_of, agree, lists, visits};

const NODES: usize = 5;

/// Who dials whom.
type Shape = fn(usize, usize) -> bool;

fn star(from: usize, to: usize) -> bool {
    to == 0 && from != 0
}

fn ring(from: usize, to: usize) -> bool {
    to == (from + 1) % NODES
}

fn all_to_all(from: usize, to: usize) -> bool {
    from < to
}

struct Cluster {
    homes: Homes,
    shape: Shape,
    nodes: Vec<Option<Node>>,
}

impl Cluster {
    async fn open(shape: Shape) -> Self {
        let mut cluster = Self { homes: Homes::new(), shape, nodes: vec![None; NODES] };
        for number in 0..NODES {
            cluster.nodes[number] = Some(cluster.homes.open(&number.to_string()).await);
        }
        for from in 0..NODES {
            cluster.dial_from(from);
        }
        cluster
    }

    /// The port is another one after a restart, so those who dial a node are told it anew.
    fn dial_from(&self, from: usize) {
        for to in (0..NODES).filter(|to| (self.shape)(from, *to)) {
            if let (Some(from), Some(to)) = (&self.nodes[from], &self.nodes[to]) {
                from.connect(address_of(to)).unwrap();
            }
        }
    }

    fn up(&self) -> Vec<&Node> {
        self.nodes.iter().flatten().collect()
    }

    /// Each node that is up adds an element of its own and counts.
    async fn everybody_writes(&self, when: &str) {
        for (number, node) in self.nodes.iter().enumerate() {
            if let Some(node) = node {
                node.sets(&lists()).add("seen", format!("{number} {when}").as_str()).await.unwrap();
                node.counters(&visits()).increment("/", 1).await.unwrap();
            }
        }
    }

    async fn down(&mut self, number: usize) {
        self.nodes[number].take().unwrap().shutdown().await;
    }

    async fn back(&mut self, number: usize) {
        self.nodes[number] = Some(self.homes.open(&number.to_string()).await);
        for from in 0..NODES {
            if from == number || (self.shape)(from, number) {
                self.dial_from(from);
            }
        }
    }

    async fn assert_count(&self, writes: usize) {
        for node in self.up() {
            assert_eq!(node.sets(&lists()).elements("seen").await.unwrap().len(), writes);
            assert_eq!(node.counters(&visits()).value("/").await.unwrap(), writes as i128);
        }
    }
}

/// All write, then all but one, then all. Those that are up agree while the one is down where the shape lets them.
async fn agree_around(shape: Shape, absent: usize, the_rest_is_connected: bool) {
    let mut cluster = Cluster::open(shape).await;
    cluster.everybody_writes("before").await;
    agree(&cluster.up()).await;
    cluster.assert_count(5).await;
    cluster.down(absent).await;
    cluster.everybody_writes("meanwhile").await;
    if the_rest_is_connected {
        agree(&cluster.up()).await;
        cluster.assert_count(9).await;
    }
    cluster.back(absent).await;
    cluster.everybody_writes("after").await;
    agree(&cluster.up()).await;
    cluster.assert_count(14).await;
    for node in cluster.nodes.into_iter().flatten() {
        node.shutdown_within(std::time::Duration::ZERO).await;
    }
}

#[tokio::test]
async fn five_nodes_in_a_star_agree_while_a_point_of_it_is_down() {
    agree_around(star, 3, true).await;
}

#[tokio::test]
async fn the_points_of_a_star_wait_for_its_centre_and_agree_when_it_is_back() {
    agree_around(star, 0, false).await;
}

#[tokio::test]
async fn five_nodes_in_a_ring_agree_the_other_way_round_while_one_is_down() {
    agree_around(ring, 2, true).await;
}

#[tokio::test]
async fn five_nodes_that_all_know_each_other_agree_while_one_is_down() {
    agree_around(all_to_all, 4, true).await;
}
