//! Requests to the cloud that are still in progress when all tasks have stopped.

use tokio::sync::mpsc;

use crate::app::token_provider::ending::{Ending, PATIENCE};
use crate::base::durations::length;

/// Waits for requests to the cloud that are in progress, until another stop signal arrives.
pub async fn last_requests(endings: Vec<Ending>, more_stops: &mut mpsc::Receiver<()>) {
    if !endings.iter().any(Ending::has_request) {
        return;
    }
    tracing::info!(
        "waiting up to {} for the response to a request to the Enphase cloud, because an interrupted login counts \
         as a login; a second signal stops the program immediately",
        length(PATIENCE)
    );
    let finished = async {
        for ending in endings {
            ending.wait().await;
        }
    };
    tokio::select! {
        () = finished => {}
        Some(()) = more_stops.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_the_wait() {
        let (insist, mut more_stops) = mpsc::channel(1);
        let start = Instant::now();
        last_requests(vec![Ending::default()], &mut more_stops).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let hung = Ending::default();
        let _request = hung.request();
        let waits = last_requests(vec![Ending::default(), hung.clone()], &mut more_stops);
        timeout(Duration::from_secs(10), waits).await.expect_err("the request is still in progress");
        insist.send(()).await.unwrap();
        last_requests(vec![hung], &mut more_stops).await;
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }
}
