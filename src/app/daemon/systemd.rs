//! The task that keeps systemd informed: the status line, and the watchdog ping while every task responds.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::notify::Notify;
use crate::app::latest::Sheet;
use crate::app::status::{Standing, line};
use crate::base::heartbeat::Pulse;

/// A task whose last heartbeat is older has stopped responding. The longest time between two heartbeats is a page of a
/// gateway without TLS: `/info` is requested first, and each of the two requests may be repeated on a new connection
/// (twice 45 s to wait and 10 s to connect). A task sends heartbeats while it waits for a login, which may take three
/// minutes.
const MAX_HEARTBEAT_AGE: Duration = Duration::from_secs(240);
/// How often to wake up when no watchdog is configured.
const IDLE: Duration = Duration::from_secs(3600);
/// The minimum time between two pings, however short the watchdog's timeout is.
const SHORTEST: Duration = Duration::from_millis(50);

/// Notifies systemd, forever.
pub(super) async fn notify_systemd(
    notify: &mut Notify,
    pulses: &[Pulse],
    mut standings: watch::Receiver<Vec<Standing>>,
    mut board: watch::Receiver<Sheet>,
) {
    let every = notify.watchdog().map_or(IDLE, |length| (length / 4).max(SHORTEST));
    let mut due = Instant::now();
    let mut reported = String::new();
    loop {
        if Instant::now() >= due {
            due = Instant::now() + every;
            if all_respond(pulses) {
                notify.alive();
            } else {
                tracing::error!("a task stopped responding; withholding the watchdog ping");
            }
        }
        let now = status(&standings.borrow_and_update(), &board.borrow_and_update());
        if now != reported {
            notify.status(&now);
            reported = now;
        }
        let retry = notify.retry();
        tokio::select! {
            () = sleep_until(due) => {}
            () = sleep_until(retry.unwrap_or(due)), if retry.is_some() => notify.retry_now(all_respond(pulses)),
            Ok(()) = standings.changed() => {}
            Ok(()) = board.changed() => {}
        }
    }
}

fn all_respond(pulses: &[Pulse]) -> bool {
    pulses.iter().all(|pulse| pulse.age() < MAX_HEARTBEAT_AGE)
}

fn status(standings: &[Standing], sheet: &Sheet) -> String {
    let standing = line(standings);
    sheet.broker_trouble().map_or(standing.clone(), |trouble| format!("{standing}; {trouble}"))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::app::latest::Board;
    use crate::app::status::Standings;

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_pinged_only_while_every_task_responds() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut notify = Notify::Channel(sender, Some(Duration::from_secs(180)));
        let (board, standings) = (Board::new(), Standings::new());
        let pulses = [Pulse::new(), Pulse::new()];
        let first = pulses[0].clone();
        let beats = async {
            loop {
                first.beat();
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        };
        let task = notify_systemd(&mut notify, &pulses, standings.reader(), board.reader());
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
