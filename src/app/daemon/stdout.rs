//! The daemon's standard output, including what happens when its reader goes away.

use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

use super::outputs;
use crate::app::config::Config;
use crate::app::latest::Latest;
use crate::app::publisher::output::Output;
use crate::app::publisher::stdout::{self, Ended};

/// The delay before a retry when the system has no file descriptor left.
const RETRY: Duration = Duration::from_secs(60);

/// Standard output, kept across reloads because a write that hangs continues through a reload.
#[derive(Debug, Default)]
pub(super) enum Stdout {
    #[default]
    Unopened,
    Open(Output),
    /// The reader has closed it, which is final.
    Closed,
}

impl Stdout {
    /// Writes the readings after the write number `seen`. Returns when the reader has gone and no other output is
    /// configured.
    pub(super) async fn write(&mut self, config: &Config, latest: &Latest, seen: &mut u64) {
        let Some(settings) = &config.stdout else { return pending().await };
        if matches!(self, Self::Unopened) {
            *self = Self::Open(open().await);
        }
        if let Self::Open(output) = self {
            let format = outputs::format(settings, config);
            match stdout::run(&format, latest.reader(), seen, output).await {
                Ended::ReaderGone => *self = Self::Closed,
                Ended::NothingMore => return pending().await,
            }
            if config.mqtt.is_some() {
                tracing::info!("the reader of standard output closed it; readings continue to the broker");
            }
        }
        if config.mqtt.is_some() {
            pending::<()>().await;
        }
    }
}

/// Opens standard output, however often that fails.
async fn open() -> Output {
    loop {
        match Output::standard() {
            Ok(output) => return output,
            Err(error) => tracing::warn!(%error, "cannot use standard output; retrying in a minute"),
        }
        sleep(RETRY).await;
    }
}
