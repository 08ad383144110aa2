//! The end that has the copy.

use std::net::SocketAddr;

use replication_log::handle::OnDurable;
use replication_log::ship::{Receiver, ReceiverOptions, Stage, Step};
use replication_log::storage::FileStorage;
use replication_log::{LogHandle, Lsn};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::frames::{Frames, send};

/// What a log calls when more of it is durable, and what hears of it.
pub(super) fn durable_marks() -> (OnDurable, watch::Receiver<Lsn>) {
    let (told, heard) = watch::channel(Lsn::ZERO);
    let on_durable: OnDurable = Box::new(move |outcome| {
        told.send_replace(outcome.expect("a healthy disk"));
    });
    (on_durable, heard)
}

/// Follows whoever leads at `address` until it closes the connection.
pub(super) async fn follow(
    address: SocketAddr,
    log: LogHandle<FileStorage>,
    mut durable: watch::Receiver<Lsn>,
) {
    let socket = TcpStream::connect(address).await.expect("a leader");
    socket.set_nodelay(true).expect("a socket");
    let (reading, mut writing) = socket.into_split();
    let mut frames = Frames::new(reading);
    let (epoch, end) = (log.epoch().expect("open"), log.last_position().expect("open"));
    let mut receiver = Receiver::new(ReceiverOptions::new("follower"), epoch, end);
    let ends = log.with_history(|history| history.epoch_ends()).expect("open").expect("readable");
    send(&mut writing, &receiver.hello(1, ends)).await.expect("connected");
    loop {
        tokio::select! {
            biased;
            changed = durable.changed() => {
                changed.expect("the log lives");
                receiver.mark(Stage::Flushed, *durable.borrow_and_update());
            }
            frame = frames.next() => {
                let Some(frame) = frame else { return };
                match receiver.handle(frame).expect("sound") {
                    Step::Begin(begin) => {
                        log.promise_epoch(begin.promise).expect("later");
                        receiver.begun();
                    }
                    Step::Append { reign, batches } => {
                        for batch in &batches {
                            let _ = log.append_copy(reign, batch).expect("it follows");
                        }
                    }
                    _ => {}
                }
            }
        }
        while let Some(report) = receiver.poll() {
            if send(&mut writing, &report).await.is_err() {
                return;
            }
        }
    }
}
