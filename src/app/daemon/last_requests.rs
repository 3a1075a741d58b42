//! The requests to the cloud that are still under way when everything else has ended.

use tokio::sync::mpsc;

use crate::app::token_provider::ending::{Ending, PATIENCE};
use crate::rules::logins::words::length;

/// Waits for requests to the cloud that are under way, unless `again` says that there is no time.
pub async fn last_requests(endings: Vec<Ending>, again: &mut mpsc::Receiver<()>) {
    if !endings.iter().any(Ending::has_request) {
        return;
    }
    tracing::info!(
        "a request to the Enphase cloud is under way; its answer is waited for, {} at most, because a login that is cut \
         off counts as one. A second signal ends the program at once",
        length(PATIENCE)
    );
    let over = async {
        for ending in endings {
            ending.wait().await;
        }
    };
    tokio::select! {
        () = over => {}
        Some(()) = again.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_waits_for_nothing() {
        let (insist, mut again) = mpsc::channel(1);
        let start = Instant::now();
        last_requests(vec![Ending::default()], &mut again).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let hung = Ending::default();
        let _request = hung.request();
        let waits = last_requests(vec![Ending::default(), hung.clone()], &mut again);
        timeout(Duration::from_secs(10), waits).await.expect_err("it is waited for");
        insist.send(()).await.unwrap();
        last_requests(vec![hung], &mut again).await;
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }
}
