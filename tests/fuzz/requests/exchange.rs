//! One connection of a client that sends arbitrary bytes.

use std::time::Duration;

use axum::Router;
use enphased::io::http::{Client, serve_requests};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Everything that a client may need: a stream goes on for ever.
const LONGEST: Duration = Duration::from_secs(100);
/// How long a client waits for responses before it closes its end.
const PATIENCE: Duration = Duration::from_secs(9);
/// What the simulated network holds, in bytes.
const BUFFER: usize = 64 * 1024;

/// Sends `data` on a connection of its own, and returns what comes back.
pub(super) async fn exchange(
    client: Client,
    router: Router,
    stop: watch::Receiver<bool>,
    data: &[u8],
) -> Vec<u8> {
    let (ours, theirs) = duplex(BUFFER);
    let serving = serve_requests(ours, client, router, stop);
    let (mut reading, mut writing) = split(theirs);
    let sending = async {
        // A server that closes the connection takes no more.
        writing.write_all(data).await.ok();
        // A response that is not ready is lost when the client closes its end.
        sleep(PATIENCE).await;
        writing.shutdown().await.ok();
    };
    let mut received = Vec::new();
    let receiving = timeout(LONGEST, reading.read_to_end(&mut received));
    let all = async { tokio::join!(timeout(LONGEST, serving), sending, receiving) };
    drop(all.await);
    received
}
