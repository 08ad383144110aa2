//! Attacks, each carried out, while a well-behaved peer goes on.

use std::time::Duration;

use crdt_core::ReplicaId;
use crdt_sync::wire::{self, Farewell, Frontier, Greeting, Message, WireError};
use crdt_sync::{ClusterKey, Event, Limits, NodeId, PeerError, Scope};
use crdt_sync_driver::{NetworkEvent, NetworkLimits, NodeOptions, Rate, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Home, lists, options, refusal, refused, until};

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(100);

/// Options with limits that differ from the default ones in what a test is about.
fn limited(change: impl FnOnce(&mut NetworkLimits)) -> NodeOptions {
    let mut limits = NetworkLimits { free_strikes: u32::MAX, ..NetworkLimits::default() };
    change(&mut limits);
    options().network_limits(limits)
}

/// A connection from another address than that of well-behaved peers.
async fn attack(victim: &Home) -> TcpStream {
    attack_with(victim, TcpSocket::new_v4().unwrap()).await
}

async fn attack_with(victim: &Home, socket: TcpSocket) -> TcpStream {
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    socket.connect(victim.node.local_addr().unwrap()).await.unwrap()
}

/// Sends a frame; whether the victim takes it is its affair.
async fn say(stream: &mut TcpStream, message: &Message) {
    let frame = wire::encode(message);
    let _ = stream.write_u32_le(u32::try_from(frame.len()).unwrap()).await;
    let _ = stream.write_all(&frame).await;
}

fn greeting(node: u128) -> Message {
    Message::Greeting(Greeting {
        incarnation: 1,
        node: NodeId::from_u128(node),
        cluster_check: ClusterKey::from_bytes([7; 16]).check(),
        partitions: 1,
        collections: vec![lists().id()],
        scope: Scope::everything(),
    })
}

/// Reads until the victim closes the connection.
async fn closed(stream: &mut TcpStream) {
    // Closing while something is unread is reported as a reset.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// A friend connects anew, writes, and its write arrives.
async fn a_friend_still_syncs(victim: &Home) {
    let friend = Home::open(options()).await;
    friend.node.connect(victim.node.local_addr().unwrap()).unwrap();
    friend.add("milk").await;
    victim.has("milk").await;
}

#[tokio::test]
async fn who_sends_a_byte_now_and_then_is_gone_at_the_deadline() {
    let victim = Home::open(limited(|limits| limits.handshake_deadline = SHORT)).await;
    let mut refusals = victim.node.network_events();
    // A frame of 200 bytes, one at a time.
    let dribble = async |mut stream: TcpStream| {
        let _ = stream.write_all(&[200]).await;
        while stream.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    for _ in 0..20 {
        tokio::spawn(dribble(attack(&victim).await));
    }
    a_friend_still_syncs(&victim).await;
    for _ in 0..20 {
        refused(&mut refusals, Refusal::SlowGreeting).await;
    }
    let connections = victim.node.connections();
    assert_eq!((connections.half_open, connections.refused), (0, 20));
}

#[tokio::test]
async fn who_never_ends_a_frame_is_gone_at_the_deadline() {
    let victim = Home::open(limited(|limits| limits.frame_deadline = SHORT)).await;
    let mut refusals = victim.node.network_events();
    let mut stream = attack(&victim).await;
    say(&mut stream, &greeting(66)).await;
    stream.write_u32_le(1_000).await.unwrap();
    a_friend_still_syncs(&victim).await;
    refused(&mut refusals, Refusal::SlowFrame).await;
}

#[tokio::test]
async fn who_is_silent_is_gone_when_its_time_is_over() {
    let victim = Home::open(limited(|limits| limits.idle_timeout = SHORT * 10)).await;
    let mut refusals = victim.node.network_events();
    let mut stream = attack(&victim).await;
    say(&mut stream, &greeting(66)).await;
    refused(&mut refusals, Refusal::Idle).await;
    a_friend_still_syncs(&victim).await;
}

/// A node that was retired, for one, refuses whom it meets.
#[tokio::test]
async fn an_address_that_says_farewell_instead_of_a_greeting_is_not_locked_out() {
    let victim = Home::open(options()).await;
    for _ in 0..2 * NetworkLimits::default().free_strikes {
        let mut stream = attack(&victim).await;
        say(&mut stream, &Message::Farewell(Farewell::Leaving)).await;
        stream.shutdown().await.unwrap();
        closed(&mut stream).await;
    }
    let connections = victim.node.connections();
    assert_eq!((connections.refused, connections.lockouts, connections.turned_away), (0, 0, 0));
}

#[tokio::test]
async fn nobody_holds_all_places_by_doing_nothing() {
    let victim = Home::open(limited(|limits| {
        limits.max_half_open = 4;
        limits.handshake_deadline = LONG;
    }))
    .await;
    let mut idlers = Vec::new();
    for _ in 0..50 {
        idlers.push(attack(&victim).await);
    }
    a_friend_still_syncs(&victim).await;
    until(|| async { victim.node.connections().refused >= 46 }).await;
    assert!(victim.node.connections().half_open <= 4);
}

#[tokio::test]
async fn an_address_that_sends_garbage_again_and_again_is_locked_out() {
    let victim = Home::open(limited(|limits| {
        (limits.free_strikes, limits.first_lockout, limits.longest_lockout) = (5, LONG, LONG);
    }))
    .await;
    let mut events = victim.node.network_events();
    for n in 0..100_u32 {
        let mut stream = attack(&victim).await;
        let garbage = [&4_u32.to_le_bytes()[..], &n.to_le_bytes()].concat();
        let _ = stream.write_all(&garbage).await;
        closed(&mut stream).await;
    }
    let connections = victim.node.connections();
    assert_eq!((connections.let_in, connections.turned_away), (6, 94), "{connections:?}");
    assert_eq!(connections.lockouts, 1);
    let locked_out = NetworkEvent::LockedOut { address: [127, 0, 0, 2].into(), lasts: LONG };
    while events.recv().await.unwrap() != locked_out {}
    refused(&mut events, Refusal::LockedOut).await;
    a_friend_still_syncs(&victim).await;
}

#[tokio::test]
async fn a_thousand_connections_from_one_address_leave_room_for_others() {
    let victim = Home::open(limited(|limits| {
        limits.max_connections_per_address = 16;
        limits.connects.burst = 2_000;
    }))
    .await;
    let mut held = Vec::new();
    for n in 0..1_000 {
        let stream = attack(&victim).await;
        if n < 16 {
            held.push(stream);
        }
    }
    a_friend_still_syncs(&victim).await;
    let connections = victim.node.connections();
    assert_eq!((connections.let_in, connections.turned_away), (17, 984), "{connections:?}");
}

#[tokio::test]
async fn a_storm_of_reconnects_is_let_in_as_often_as_the_rate_says() {
    let slow = Rate { per_second: 0, burst: 10 };
    let victim = Home::open(limited(|limits| limits.connects = slow)).await;
    let mut refusals = victim.node.network_events();
    for n in 0..200 {
        let mut stream = attack(&victim).await;
        say(&mut stream, &greeting(1_000 + n)).await;
    }
    refused(&mut refusals, Refusal::TooOften).await;
    a_friend_still_syncs(&victim).await;
    let connections = victim.node.connections();
    assert_eq!((connections.let_in, connections.turned_away), (11, 190), "{connections:?}");
}

#[tokio::test]
async fn a_frame_of_four_gibibytes_is_refused_when_it_is_announced() {
    let victim = Home::open(limited(|_| {})).await;
    let mut events = victim.node.events();
    let mut refusals = victim.node.network_events();
    let mut early = attack(&victim).await;
    early.write_u32_le(u32::MAX).await.unwrap();
    let mut greeted = attack(&victim).await;
    say(&mut greeted, &greeting(66)).await;
    greeted.write_u32_le(u32::MAX).await.unwrap();
    let mut violations = 0;
    while violations < 2 {
        if let Event::Violation { error, .. } = events.recv().await.unwrap() {
            let too_long =
                WireError::TooLong { length: u32::MAX as usize, limit: Limits::default().max_frame };
            assert_eq!(error, PeerError::Wire(too_long));
            violations += 1;
        }
    }
    closed(&mut early).await;
    closed(&mut greeted).await;
    let mut long = attack(&victim).await;
    long.write_u32_le(1 << 20).await.unwrap();
    let length = refusal(&mut refusals, |reason| match reason {
        Refusal::LongGreeting { length, .. } => Some(*length),
        _ => None,
    });
    assert_eq!(length.await, 1 << 20, "before it has greeted nobody sends a frame as long as this");
    a_friend_still_syncs(&victim).await;
}

#[tokio::test]
async fn who_sends_too_fast_is_read_more_slowly_and_in_the_end_disconnected() {
    let frames = Rate { per_second: 2_000, burst: 10 };
    for patience in [LONG, Duration::ZERO] {
        let victim = Home::open(limited(|limits| {
            (limits.frames, limits.throttle_patience) = (frames, patience);
        }))
        .await;
        let mut refusals = victim.node.network_events();
        let mut stream = attack(&victim).await;
        for _ in 0..300 {
            say(&mut stream, &greeting(66)).await;
        }
        until(|| async { victim.node.connections().throttled >= 1 }).await;
        if patience.is_zero() {
            refused(&mut refusals, Refusal::TooFast).await;
        } else {
            until(|| async { victim.node.traffic().frames_received >= 300 }).await;
            assert_eq!(victim.node.connections().refused, 0);
        }
        a_friend_still_syncs(&victim).await;
    }
}

/// Two peers ask for everything and read nothing, beside one that does.
async fn who_never_reads(victim: &Home) {
    let friend = Home::open(options()).await;
    friend.node.connect(victim.node.local_addr().unwrap()).unwrap();
    friend.node.in_sync_with(1).await.unwrap();
    let mut streams = Vec::new();
    for node in [66, 67] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = attack_with(victim, socket).await;
        say(&mut stream, &greeting(node)).await;
        let nothing = Frontier {
            partition: 0,
            rewind: false,
            open: false,
            ask: false,
            origins: Vec::new(),
            writer: ReplicaId::from_u128(1),
            refused: Vec::new(),
            forks: [0; 16],
            root: None,
        };
        say(&mut stream, &Message::Frontier(nothing)).await;
        streams.push(stream);
    }
    let sets = victim.node.sets(&lists());
    for n in 0..64_u32 {
        sets.add(n.to_string().as_str(), vec![0; 128 << 10]).await.unwrap();
    }
    until(|| async { victim.node.connections().stalled >= 1 }).await;
    friend.add("milk").await;
    victim.has("milk").await;
    until(|| async { victim.node.connections().queued == 0 }).await;
}

#[tokio::test]
async fn who_never_reads_is_disconnected_when_too_much_waits_for_it() {
    let wide = Limits { send_window: 64 << 20, ..Limits::default() };
    let for_one = limited(|limits| limits.max_queued = 1 << 20).limits(wide.clone());
    who_never_reads(&Home::open(for_one).await).await;
    let for_all = limited(|limits| limits.max_queued_total = 1 << 20).limits(wide);
    who_never_reads(&Home::open(for_all).await).await;
}

#[tokio::test]
async fn who_never_reads_is_disconnected_when_it_takes_nothing_for_too_long() {
    let victim = Home::open(limited(|limits| limits.stall_timeout = SHORT)).await;
    who_never_reads(&victim).await;
}
