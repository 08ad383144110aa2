//! The responder behind a socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::respond::respond;
use crate::standing::Standing;

/// What strangers can make the server do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// So many connections at once; one more is closed at once.
    pub connections: usize,
    /// How long a connection may last. It carries one request.
    pub lifetime: Duration,
    /// How many headers a request may have; with more it is answered 431.
    pub headers: usize,
    /// How many bytes they may take in all, at least 8192.
    pub header_bytes: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 64, lifetime: Duration::from_secs(5), headers: 32, header_bytes: 8192 }
    }
}

/// Answers requests for as long as it is polled. `standing` is called for each of them.
pub async fn serve<S>(listener: TcpListener, standing: S, limits: ServerLimits) -> Infallible
where
    S: Fn() -> Standing + Clone + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // The process has no more files, say: that passes.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let standing = standing.clone();
        connections.spawn(async move {
            // Whatever ends it, the client notices, and nobody else cares.
            let _ = tokio::time::timeout(limits.lifetime, converse(stream, standing, limits)).await;
            drop(place);
        });
    }
}

async fn converse<S: Fn() -> Standing>(
    stream: TcpStream,
    standing: S,
    limits: ServerLimits,
) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(&standing(), &request);
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(limits.lifetime)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(8192))
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn answer(standing: &Standing, request: &Request<Incoming>) -> hyper::Response<Full<Bytes>> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let said = respond(standing, request.method().as_str(), target);
    let mut response = hyper::Response::new(Full::new(Bytes::from(said.body)));
    *response.status_mut() = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    response
}
