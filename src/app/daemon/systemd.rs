//! The task that keeps systemd informed: the status line, and the watchdog ping while every task responds.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::notify::Notify;
use crate::app::latest::Snapshot;
use crate::app::status::{Place, line};
use crate::base::heartbeat::Heartbeats;

/// The interval between two wake-ups when no watchdog is configured.
const IDLE: Duration = Duration::from_secs(3600);
/// The minimum time between two pings, however short the watchdog's timeout is.
const SHORTEST: Duration = Duration::from_millis(50);

/// Notifies systemd, forever.
pub(super) async fn notify_systemd(
    notify: &mut Notify,
    heartbeats: &Heartbeats,
    mut statuses: watch::Receiver<Vec<Place>>,
    mut latest: watch::Receiver<Snapshot>,
) {
    let every = notify.watchdog().map_or(IDLE, |length| (length / 4).max(SHORTEST));
    let mut due = Instant::now();
    let mut reported = String::new();
    loop {
        if Instant::now() >= due {
            due = Instant::now() + every;
            if heartbeats.all_respond() {
                notify.alive();
            } else {
                tracing::error!("a task stopped responding; withholding the watchdog ping");
            }
        }
        let now = status(&statuses.borrow_and_update(), &latest.borrow_and_update());
        if now != reported {
            notify.status(&now);
            reported = now;
        }
        let retry = notify.retry();
        tokio::select! {
            () = sleep_until(due) => {}
            () = sleep_until(retry.unwrap_or(due)), if retry.is_some() => notify.retry_now(heartbeats.all_respond()),
            Ok(()) = statuses.changed() => {}
            Ok(()) = latest.changed() => {}
        }
    }
}

fn status(statuses: &[Place], snapshot: &Snapshot) -> String {
    let status = line(statuses);
    snapshot.broker_trouble().map_or(status.clone(), |trouble| format!("{status}; {trouble}"))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::app::latest::Latest;
    use crate::app::status::StatusList;
    use crate::base::heartbeat::Heartbeat;

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_pinged_only_while_every_task_responds() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut notify = Notify::Channel(sender, Some(Duration::from_secs(180)));
        let (latest, statuses) = (Latest::new(), StatusList::new());
        let (first, heartbeats) = (Heartbeat::new(), Heartbeats::default());
        heartbeats.set(vec![first.clone(), Heartbeat::new()]);
        let beats = async {
            loop {
                first.beat();
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        };
        let task = notify_systemd(&mut notify, &heartbeats, statuses.reader(), latest.reader());
        tokio::select! {
            () = task => unreachable!(),
            () = beats => unreachable!(),
            () = tokio::time::sleep(Duration::from_secs(600)) => {}
        }
        let mut pings = 0;
        while let Ok(line) = receiver.try_recv() {
            pings += u32::from(line.starts_with("WATCHDOG"));
        }
        assert_eq!(
            pings, 6,
            "the second task sent its last heartbeat at the start: pings at 0, 45, 90, 135, 180 and 225 s"
        );
    }
}
