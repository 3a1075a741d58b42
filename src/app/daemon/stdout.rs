//! Standard output over the life of the daemon: what becomes of the daemon when its reader goes away.

use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

use super::outputs;
use crate::app::config::Config;
use crate::app::latest::Board;
use crate::app::publisher::output::Output;
use crate::app::publisher::pipe::{self, Ended};

/// When to try again where the system has no descriptor left.
const RETRY: Duration = Duration::from_secs(60);

/// Standard output. One for the life of the daemon: a write that hangs goes on through a reload.
#[derive(Debug, Default)]
pub(super) struct Stdout {
    output: Option<Output>,
    /// Whether the reader has gone. It does not come back.
    closed: bool,
}

impl Stdout {
    /// Writes the readings that come after the write `seen` of the board. Returns when the reader has gone and there is
    /// no other output for which the daemon would go on.
    pub(super) async fn write(&mut self, config: &Config, board: &Board, seen: &mut u64) {
        let Some(settings) = &config.stdout else { return pending().await };
        if !self.closed {
            let format = outputs::format(settings, config);
            let output = self.output().await;
            match pipe::run(&format, board.reader(), seen, output).await {
                Ended::ReaderGone => self.closed = true,
                Ended::NothingMore => return pending().await,
            }
            if config.mqtt.is_some() {
                tracing::info!("standard output was closed by whoever read it; readings go on to the broker");
            }
        }
        if config.mqtt.is_some() {
            pending::<()>().await;
        }
    }

    async fn output(&mut self) -> &mut Output {
        loop {
            match self.output.take().map_or_else(Output::standard, Ok) {
                Ok(output) => return self.output.insert(output),
                Err(error) => {
                    tracing::warn!(%error, "standard output cannot be used; it is tried again in a minute");
                }
            }
            sleep(RETRY).await;
        }
    }
}
