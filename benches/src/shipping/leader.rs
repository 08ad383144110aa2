//! The end that has the log.

use std::time::Instant;

use replication_log::ship::wire::ToLeader;
use replication_log::ship::{Sender, SenderOptions, Stage, Want};
use replication_log::storage::FileStorage;
use replication_log::{LogHandle, Lsn};
use tokio::net::TcpStream;

use super::EPOCH;
use super::frames::{Frames, send};

/// Ships the log until the follower has flushed record `last`, and returns how many frames with records that took.
pub(super) async fn lead(socket: TcpStream, log: LogHandle<FileStorage>, last: Lsn) -> u64 {
    socket.set_nodelay(true).expect("a socket");
    let (reading, mut writing) = socket.into_split();
    let (mut frames, clock) = (Frames::new(reading), Instant::now());

    let hello = frames.next().await.expect("a follower");
    let Ok(ToLeader::Hello(hello)) = ToLeader::decode(hello) else { panic!("no first word") };
    let options = SenderOptions::new("leader", EPOCH);
    let answer = log.with_history(|history| Sender::answer(options, clock.elapsed(), &hello, history, None));
    let mut sender = answer.expect("open").expect("followed");
    let mut tail = log.tail(Lsn::FIRST).expect("open");
    let mut sent = 0;

    while sender.marks().at(Stage::Flushed) < last {
        let end = log.durable().expect("open");
        sender.progress(end, end);
        while let Want::Batches { after } = sender.wants() {
            // What was lost is wanted again.
            let wanted = after.next().expect("a number");
            if tail.position() != wanted {
                tail = log.tail(wanted).expect("kept");
            }
            let Some(batch) = tail.try_next_batch().expect("readable") else { break };
            sender.push(clock.elapsed(), &batch).expect("next");
        }
        let mut quiet = true;
        while let Some(frame) = sender.poll(clock.elapsed()) {
            send(&mut writing, &frame).await.expect("connected");
            (sent, quiet) = (sent + 1, false);
        }
        // With the window full there is nothing to do but to listen: a tail that has more would be ready at once.
        let more_is_welcome = sender.is_caught_up() || sender.wants() != Want::Nothing;
        tokio::select! {
            biased;
            frame = frames.next() => {
                let frame = frame.expect("connected");
                sender.handle(clock.elapsed(), frame).expect("sound");
            }
            () = tail.ready(), if quiet && more_is_welcome => {}
            () = std::future::ready(()), if !quiet => {}
        }
    }
    sent
}
