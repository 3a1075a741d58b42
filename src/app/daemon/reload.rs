//! Reloads the configuration at SIGHUP: limits how often, decides which configurations a running daemon accepts, and
//! describes what has changed.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::running::lost_gateways;
use crate::app::config::{self, Config, Gateway};

/// The minimum time between two reloads. Signals in between lead to one reload after it.
const SHORTEST: Duration = Duration::from_secs(3);
/// The maximum time between reloads while signals keep arriving.
const LONGEST: Duration = Duration::from_secs(60);

/// Limits how often the configuration is reloaded. The gap grows while signals keep arriving.
#[derive(Debug, Default)]
pub(super) struct ReloadLimit {
    last: Option<(Instant, Duration)>,
}

impl ReloadLimit {
    /// Returns the time of the earliest next reload.
    fn due(&self, now: Instant) -> Instant {
        self.last.map_or(now, |(last, gap)| last + gap)
    }

    /// Records a reload at `now`.
    fn record(&mut self, now: Instant) {
        let gap = match self.last {
            // This reload had to wait, or came soon after the previous one.
            Some((last, gap)) if now < last + 2 * gap => (2 * gap).min(LONGEST),
            _ => SHORTEST,
        };
        self.last = Some((now, gap));
    }
}

/// The difference between two configurations.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The configurations are equal.
    Nothing,
    /// Only gateways and outputs differ, as described. The others keep running.
    Parts(Vec<String>),
    /// A setting differs that all gateways share.
    Everything,
}

/// Waits for a reload with a configuration that differs from `old`. A configuration that is invalid or probably
/// unintended is reported and ignored.
pub(super) async fn reloaded(
    old: &Config,
    hangups: &mut mpsc::Receiver<()>,
    limit: &mut ReloadLimit,
    reload: &impl Fn() -> Result<Config, config::Error>,
) -> (Box<Config>, Change) {
    loop {
        if hangups.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        sleep_until(limit.due(Instant::now())).await;
        limit.record(Instant::now());
        match reload() {
            Ok(new) => {
                if let Some(new) = accept(old, new) {
                    return new;
                }
            }
            Err(error) => {
                tracing::error!("{error}; keeping the old configuration");
                for problem in error.problems() {
                    tracing::error!("{problem}");
                }
            }
        }
    }
}

/// Returns the configuration and its difference from the old one, if a running daemon can use it.
fn accept(old: &Config, mut new: Config) -> Option<(Box<Config>, Change)> {
    if let Some(reason) = lost_gateways(old.gateway_tables, &new) {
        tracing::error!("{reason}; keeping the old configuration");
        return None;
    }
    if new.state_dir != old.state_dir {
        tracing::warn!("a reload cannot change state_dir; restart the service to use the new one");
        new.state_dir.clone_from(&old.state_dir);
    }
    let change = change(old, &new);
    match &change {
        Change::Nothing => {
            tracing::info!("configuration reloaded: nothing has changed");
            return None;
        }
        Change::Parts(parts) => {
            tracing::info!("configuration reloaded: {}", parts.join(", "));
        }
        Change::Everything => {
            tracing::info!("configuration reloaded: restarting all tasks");
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
    let mut parts = gateways_changed(&old.gateways, &new.gateways);
    parts.extend((old.mqtt != new.mqtt).then(|| "changed [mqtt]".to_owned()));
    parts.extend((old.server != new.server).then(|| "changed [server]".to_owned()));
    parts.extend((old.history != new.history).then(|| "changed [history]".to_owned()));
    parts.extend((old.alerts != new.alerts).then(|| "changed [alerts]".to_owned()));
    parts.extend((old.stdout != new.stdout).then(|| "changed [stdout]".to_owned()));
    if parts.is_empty() { Change::Nothing } else { Change::Parts(parts) }
}

/// Describes the gateways that are polled no longer, or from now on, and those of which only the proxy differs.
fn gateways_changed(old: &[Gateway], new: &[Gateway]) -> Vec<String> {
    let is_polled = |one: &Gateway, list: &[Gateway]| list.iter().any(|other| other.is_polled_like(one));
    let gone = old.iter().filter(|one| !is_polled(one, new)).map(|gone| format!("removed {gone}"));
    let added = new.iter().filter(|one| !is_polled(one, old)).map(|added| format!("added {added}"));
    let other_proxy = new.iter().filter(|one| !old.contains(one) && is_polled(one, old));
    gone.chain(added).chain(other_proxy.map(|one| format!("changed the proxy of {one}"))).collect()
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
    fn changes_are_described() {
        assert_eq!(parts(ONE, ONE), "Nothing");
        assert_eq!(parts(ONE, &format!("# a comment\n{ONE}interval = \"30s\"")), "Nothing");
        assert_eq!(parts(ONE, TWO), "added the gateway at 192.168.1.21");
        assert_eq!(parts(TWO, ONE), "removed the gateway at 192.168.1.21");
        let proxy = |port: &str| format!("{ONE}proxy = [\"127.0.0.1:{port}\"]");
        assert_eq!(parts(&proxy("1"), &proxy("2")), "changed the proxy of the gateway at 192.168.1.20");
        assert_eq!(
            parts(ONE, &format!("{}\nproxy_serial = \"1\"\ninterval = \"5s\"", proxy("1"))),
            "removed the gateway at 192.168.1.20, added the gateway at 192.168.1.20, changed [server]"
        );
        assert_eq!(
            parts(ONE, &format!("{ONE}[mqtt]")),
            "changed [mqtt], changed [stdout]",
            "standard output is the default output"
        );
        assert_eq!(
            parts(ONE, &format!("time_zone = \"UTC\"\n[cloud]\nusername = \"a\"\n{ONE}")),
            "Everything"
        );
    }

    #[test]
    fn a_configuration_that_lost_its_gateways_is_refused() {
        assert!(accept(&config(ONE), config("")).is_none());
        assert!(accept(&config(ONE), config("[mqtt]")).is_none());
        assert!(accept(&config(""), config("[mqtt]")).is_some(), "the gateway was located by mDNS before");
        assert!(accept(&config(TWO), config(ONE)).is_some());
        assert!(accept(&config(""), config(ONE)).is_some());
    }

    #[test]
    fn the_state_directory_stays() {
        let (new, change) = accept(&config(ONE), config(&format!("state_dir = \"/x\"\n{TWO}"))).unwrap();
        assert_eq!(new.state_dir, config(ONE).state_dir);
        assert!(matches!(change, Change::Parts(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_signals_leads_to_few_reloads_and_the_last_change_is_found() {
        let (sender, mut hangups) = mpsc::channel(1);
        let read = AtomicU32::new(0);
        let (old, mut limit) = (config(ONE), ReloadLimit::default());
        let reload = || {
            read.fetch_add(1, Ordering::Relaxed);
            Ok(old.clone())
        };
        let flood = async {
            // A hundred signals per second for a minute.
            for _ in 0..6000 {
                sender.try_send(()).ok();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = reloaded(&old, &mut hangups, &mut limit, &reload) => panic!("nothing has changed"),
            () = flood => {}
        }
        let before = read.load(Ordering::Relaxed);
        assert!((3..=6).contains(&before), "{before}: after 0, 3, 9, 21 and 45 seconds");
        // The last signal is not lost, however long it waits.
        sender.try_send(()).ok();
        let changed = || Ok(config(TWO));
        let (new, _) = reloaded(&old, &mut hangups, &mut limit, &changed).await;
        assert_eq!(new.gateways.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn reloads_that_are_far_apart_happen_immediately() {
        let (mut limit, mut now) = (ReloadLimit::default(), Instant::now());
        for _ in 0..5 {
            assert!(limit.due(now) <= now);
            limit.record(now);
            now += Duration::from_secs(10);
        }
    }
}
