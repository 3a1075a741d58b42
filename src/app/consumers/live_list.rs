//! The list of the running daemon for `enphased consumer list`: the socket `consumers.sock` in the state directory, which
//! only its owner and root can open. It takes nothing, and sends the list that `/api/v1/consumers` has.

use std::future::pending;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::listed::Listed;
use super::registry::Registry;
use crate::io::state_dir::StateDir;
use crate::output::json;

/// The name of the socket.
pub const NAME: &str = "consumers.sock";
/// The time limit for sending or receiving a list.
const PATIENCE: Duration = Duration::from_secs(2);
/// The maximum size of a list in bytes: a thousand times a usual one.
const LONGEST: u64 = 4 << 20;

/// Sends the list to each command that connects. Never ends.
pub async fn serve(state: &StateDir, registry: &Registry) {
    let listener = match state.listen(NAME).await.and_then(UnixListener::from_std) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::debug!(
                "cannot listen at {NAME}, so `enphased consumer list` shows what was saved: {error}"
            );
            return pending().await;
        }
    };
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                let list = json::one_line(&registry.complete_list().await);
                timeout(PATIENCE, stream.write_all(list.as_bytes())).await.ok();
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection at {NAME}");
                sleep(PATIENCE).await;
            }
        }
    }
}

/// Returns the list of the running daemon, or `None` if no daemon with a server runs.
pub async fn read(state: &StateDir) -> Option<Vec<Listed>> {
    let asked = async {
        let stream = UnixStream::connect(state.path().join(NAME)).await.ok()?;
        let mut list = Vec::new();
        stream.take(LONGEST).read_to_end(&mut list).await.ok()?;
        serde_json::from_slice(&list).ok()
    };
    timeout(PATIENCE, asked).await.ok().flatten()
}
