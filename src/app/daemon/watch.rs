//! Keeps systemd informed: what is read or what the trouble is, and that the loops turn.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::notify::Notify;
use crate::app::latest::Sheet;
use crate::app::status::{Standing, line};
use crate::base::heartbeat::Pulse;

/// A loop whose last beat is older hangs. The slowest thing between two beats is a page of a gateway that proves nothing
/// of itself: it is asked who it is first, and each of the two requests may be made again on a new connection (twice 45 s
/// to wait and 10 s to connect). A loop beats while it waits for a login, which may take three minutes.
const HANGS: Duration = Duration::from_secs(240);
/// Without a watchdog this is how often it is looked at nothing.
const IDLE: Duration = Duration::from_secs(3600);
/// However short the watchdog's time is.
const SHORTEST: Duration = Duration::from_millis(50);

/// Tells systemd for as long as it is polled.
pub(super) async fn watch(
    notify: &mut Notify,
    pulses: &[Pulse],
    mut standings: watch::Receiver<Vec<Standing>>,
    mut board: watch::Receiver<Sheet>,
) {
    let every = notify.watchdog().map_or(IDLE, |length| (length / 4).max(SHORTEST));
    let mut due = Instant::now();
    let mut told = String::new();
    loop {
        if Instant::now() >= due {
            due = Instant::now() + every;
            if turning(pulses) {
                notify.alive();
            } else {
                tracing::error!("a loop hangs; systemd is not told that all is well");
            }
        }
        let now = status(&standings.borrow_and_update(), &board.borrow_and_update());
        if now != told {
            notify.status(&now);
            told = now;
        }
        let retry = notify.retry();
        tokio::select! {
            () = sleep_until(due) => {}
            () = sleep_until(retry.unwrap_or(due)), if retry.is_some() => notify.try_again(turning(pulses)),
            Ok(()) = standings.changed() => {}
            Ok(()) = board.changed() => {}
        }
    }
}

fn turning(pulses: &[Pulse]) -> bool {
    pulses.iter().all(|pulse| pulse.age() < HANGS)
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
    async fn the_watchdog_is_fed_only_while_every_loop_turns() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut notify = Notify::Channel(tell, Some(Duration::from_secs(180)));
        let (board, standings) = (Board::new(), Standings::new());
        let pulses = [Pulse::new(), Pulse::new()];
        let first = pulses[0].clone();
        let beats = async {
            loop {
                first.beat();
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        };
        let watching = watch(&mut notify, &pulses, standings.reader(), board.reader());
        tokio::select! {
            () = watching => unreachable!(),
            () = beats => unreachable!(),
            () = tokio::time::sleep(Duration::from_secs(600)) => {}
        }
        let mut fed = 0;
        while let Ok(line) = told.try_recv() {
            fed += u32::from(line.starts_with("WATCHDOG"));
        }
        assert_eq!(
            fed, 6,
            "the second loop stopped beating at the start: fed at 0, 45, 90, 135, 180 and 225 s"
        );
    }
}
