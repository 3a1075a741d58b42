//! Reading the configuration again at SIGHUP: how often, which configurations a running daemon takes up, and what is
//! different in them.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::running::lost_gateways;
use crate::app::config::{self, Config};

/// Between one reload and the next. Hangups in between are one, and none is forgotten.
const SHORTEST: Duration = Duration::from_secs(3);
/// Between reloads that do not end.
const LONGEST: Duration = Duration::from_secs(60);

/// Keeps reloads apart: whoever sends hangups without end gets ever fewer.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// When the next reload may be.
    fn due(&self, now: Instant) -> Instant {
        self.last.map_or(now, |(last, gap)| last + gap)
    }

    /// Notes a reload at `now`.
    fn done(&mut self, now: Instant) {
        let gap = match self.last {
            // It had been waited for.
            Some((last, gap)) if now < last + 2 * gap => (2 * gap).min(LONGEST),
            _ => SHORTEST,
        };
        self.last = Some((now, gap));
    }
}

/// What a new configuration asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It says what the old one said.
    Nothing,
    /// Gateways and outputs alone differ, in these words: each that stays goes on undisturbed.
    Parts(Vec<String>),
    /// Something differs that all gateways share.
    Everything,
}

/// Waits for a configuration that says something else than `old`. One that is wrong, or cannot be meant, is reported,
/// and the old one stays.
pub(super) async fn reloaded(
    old: &Config,
    hangups: &mut mpsc::Receiver<()>,
    pace: &mut Pace,
    reload: &impl Fn() -> Result<Config, config::Error>,
) -> (Box<Config>, Change) {
    loop {
        if hangups.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        sleep_until(pace.due(Instant::now())).await;
        pace.done(Instant::now());
        match reload() {
            Ok(new) => {
                if let Some(new) = taken_up(old, new) {
                    return new;
                }
            }
            Err(error) => {
                tracing::error!("{error}; the old one stays in use");
                for problem in error.problems() {
                    tracing::error!("{problem}");
                }
            }
        }
    }
}

/// The configuration with what is different in it, if it is one to take up.
fn taken_up(old: &Config, mut new: Config) -> Option<(Box<Config>, Change)> {
    if let Some(why) = lost_gateways(old.gateway_tables, &new) {
        tracing::error!("{why}; the old one stays in use");
        return None;
    }
    if new.state_dir != old.state_dir {
        tracing::warn!("state_dir changes at a restart only; the old one stays");
        new.state_dir.clone_from(&old.state_dir);
    }
    let change = change(old, &new);
    match &change {
        Change::Nothing => {
            tracing::info!("the configuration was read again; nothing has changed");
            return None;
        }
        Change::Parts(parts) => {
            tracing::info!("the configuration was read again: {}", parts.join(", "));
        }
        Change::Everything => {
            tracing::info!("the configuration was read again: everything starts anew");
        }
    }
    for warning in new.warnings.iter().filter(|warning| !old.warnings.contains(warning)) {
        tracing::warn!("{warning}");
    }
    Some((Box::new(new), change))
}

fn change(old: &Config, new: &Config) -> Change {
    let shared = |config: &Config| {
        (config.zone.clone(), config.cloud.clone(), config.account.clone(), config.renew_short_tokens)
    };
    if shared(old) != shared(new) {
        return Change::Everything;
    }
    let mut parts = Vec::new();
    parts.extend(
        old.gateways.iter().filter(|one| !new.gateways.contains(one)).map(|gone| format!("without {gone}")),
    );
    parts.extend(
        new.gateways.iter().filter(|one| !old.gateways.contains(one)).map(|added| format!("with {added}")),
    );
    parts.extend((old.mqtt != new.mqtt).then(|| "[mqtt] is different".to_owned()));
    parts.extend((old.stdout != new.stdout).then(|| "[stdout] is different".to_owned()));
    if parts.is_empty() { Change::Nothing } else { Change::Parts(parts) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::app::config::environment::Environment;

    const ONE: &str = "[[gateway]]\naddress = \"192.168.1.20\"\n";
    const TWO: &str = "[[gateway]]\naddress = \"192.168.1.20\"\n[[gateway]]\naddress = \"192.168.1.21\"\n";

    fn config(text: &str) -> Config {
        config::complete(text, None, &Environment::default()).unwrap()
    }

    fn parts(old: &str, new: &str) -> String {
        match change(&config(old), &config(new)) {
            Change::Parts(parts) => parts.join(", "),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_different_is_named_and_the_rest_stays() {
        assert_eq!(parts(ONE, ONE), "Nothing");
        assert_eq!(parts(ONE, &format!("# a comment\n{ONE}interval = \"30s\"")), "Nothing");
        assert_eq!(parts(ONE, TWO), "with the gateway at 192.168.1.21");
        assert_eq!(parts(TWO, ONE), "without the gateway at 192.168.1.21");
        assert_eq!(
            parts(ONE, &format!("{ONE}[mqtt]")),
            "[mqtt] is different, [stdout] is different",
            "without any output there is standard output"
        );
        assert_eq!(
            parts(ONE, &format!("time_zone = \"UTC\"\n[cloud]\nusername = \"a\"\n{ONE}")),
            "Everything"
        );
    }

    #[test]
    fn a_configuration_that_lost_its_gateways_is_not_taken_up() {
        assert!(taken_up(&config(ONE), config("")).is_none());
        assert!(taken_up(&config(ONE), config("[mqtt]")).is_none());
        assert!(taken_up(&config(""), config("[mqtt]")).is_some(), "it was found by mDNS before");
        assert!(taken_up(&config(TWO), config(ONE)).is_some());
        assert!(taken_up(&config(""), config(ONE)).is_some());
    }

    #[test]
    fn the_state_directory_stays() {
        let (new, change) = taken_up(&config(ONE), config(&format!("state_dir = \"/x\"\n{TWO}"))).unwrap();
        assert_eq!(new.state_dir, config(ONE).state_dir);
        assert!(matches!(change, Change::Parts(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_hangups_is_a_few_reloads_and_the_last_change_is_found() {
        let (tell, mut hangups) = mpsc::channel(1);
        let read = AtomicU32::new(0);
        let (old, mut pace) = (config(ONE), Pace::default());
        let reload = || {
            read.fetch_add(1, Ordering::Relaxed);
            Ok(old.clone())
        };
        let storm = async {
            // A minute of a hundred hangups a second.
            for _ in 0..6000 {
                tell.try_send(()).ok();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = reloaded(&old, &mut hangups, &mut pace, &reload) => panic!("nothing has changed"),
            () = storm => {}
        }
        let before = read.load(Ordering::Relaxed);
        assert!((3..=6).contains(&before), "{before}: after 0, 3, 9, 21 and 45 seconds");
        // The last one counts, however long it waits.
        tell.try_send(()).ok();
        let changed = || Ok(config(TWO));
        let (new, _) = reloaded(&old, &mut hangups, &mut pace, &changed).await;
        assert_eq!(new.gateways.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn reloads_that_are_far_apart_happen_at_once() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..5 {
            assert!(pace.due(now) <= now);
            pace.done(now);
            now += Duration::from_secs(10);
        }
    }
}
