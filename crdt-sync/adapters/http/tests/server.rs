//! What strangers can do to the endpoints, and what a directory makes of them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crdt_sync::failover::{Directory, Follow, Grant};
use crdt_sync_http::{HttpDirectory, ServerLimits, Standing, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Shared = Arc<Mutex<Standing>>;

async fn node(limits: ServerLimits) -> (String, Shared) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let standing = Shared::new(Mutex::new(Standing::none()));
    let shown = Arc::clone(&standing);
    tokio::spawn(serve(listener, move || shown.lock().unwrap().clone(), limits));
    (address, standing)
}

async fn say(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that has had enough may reset the connection.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn grant(number: u64) -> Grant {
    Grant::new(number).unwrap()
}

#[tokio::test]
async fn a_proxy_is_answered_as_it_expects() {
    let (address, standing) = node(ServerLimits::default()).await;
    *standing.lock().unwrap() = Standing::primary(grant(7), true, "db-7:7400");
    let answer = say(&address, "OPTIONS /primary HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = say(&address, "GET /replica?lag=1kB HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"grant\":7"), "{answer}");
    let answer = say(&address, "DELETE /primary HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn whoever_sends_too_much_or_too_slowly_or_comes_too_often_is_let_go() {
    let limits =
        ServerLimits { connections: 2, lifetime: Duration::from_millis(300), ..ServerLimits::default() };
    let (address, _) = node(limits).await;
    let many = "x: y\r\n".repeat(33);
    let answer = say(&address, &format!("GET / HTTP/1.1\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = "z".repeat(40_000);
    let answer = say(&address, &format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n")).await;
    assert!(!answer.contains(" 200 "), "{answer}");

    let slow = say(&address, "GET / HTTP/1.1\r\n");
    let slower = say(&address, "");
    let turned_away = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        say(&address, "").await
    };
    let (slow, slower, turned_away) = tokio::join!(slow, slower, turned_away);
    assert!(!slow.contains(" 200 ") && slower.is_empty() && turned_away.is_empty(), "{slow}");
    assert!(say(&address, "GET /liveness HTTP/1.1\r\nHost: a\r\n\r\n").await.contains(" 200 "));
}

#[tokio::test]
async fn a_directory_finds_whoever_leads_by_the_latest_grant() {
    let (a, a_stands) = node(ServerLimits::default()).await;
    let (b, b_stands) = node(ServerLimits::default()).await;
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let directory = HttpDirectory::new([a, b, gone.clone()]).every(Duration::from_millis(10));
    let mut client = Follow::new(directory);
    assert_eq!(client.look().await.unwrap(), None, "two say that they do not, the third says nothing");

    *a_stands.lock().unwrap() = Standing::primary(grant(1), true, "a:1");
    assert_eq!(client.next().await.unwrap().address, "a:1");
    // Its clock has stopped, say: it should not lead any more, but says that it does.
    *b_stands.lock().unwrap() = Standing::primary(grant(2), true, "b:1");
    assert_eq!(client.next().await.unwrap().address, "b:1");
    *b_stands.lock().unwrap() = Standing::replica(Some(0));
    assert_eq!(client.look().await.unwrap().unwrap().address, "b:1", "not back to a");

    let mut alone = HttpDirectory::new([gone]);
    assert!(alone.current().await.is_err());
}
