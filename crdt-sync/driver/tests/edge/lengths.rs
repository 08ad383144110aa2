//! Frames of every length get through, also of those that look like the beginning of something else.

use crate::support::{Home, options};

/// The lengths of frames that begin with the same bytes as TLS does, below 128 KiB: `0x16`, and the three beside it,
/// then version 3.1. Frames are told from TLS where a peer greets, and only there.
const LIKE_TLS: std::ops::RangeInclusive<usize> = 0x1_0314..=0x1_0317;
/// What a frame has besides the element, at most.
const BESIDES: usize = 300;

#[tokio::test]
async fn a_frame_as_long_as_tls_looks_like_arrives_without_tls() {
    let (writer, reader) = (Home::open(options()).await, Home::open(options()).await);
    writer.node.connect(reader.node.local_addr().unwrap()).unwrap();
    writer.node.in_sync_with(1).await.unwrap();
    // An element of this size travels alone.
    let lengths = (LIKE_TLS.start() - BESIDES..=*LIKE_TLS.end()).step_by(LIKE_TLS.count());
    let elements: Vec<_> = lengths.map(|length| "x".repeat(length)).collect();
    for element in &elements {
        writer.add(element).await;
    }
    reader.has(elements.last().unwrap()).await;
    assert_eq!(reader.elements().await.len(), elements.len());
    assert_eq!(reader.node.connections().refused, 0);
}
