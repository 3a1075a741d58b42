//! A gateway that is off, restarts, or hangs, in virtual time at the default interval: when it is offline, when its return
//! is noticed, how often it is contacted, and what is logged.

use std::time::Duration;

use enphased::app::latest::{Availability, Snapshot};
use enphased::app::poller::Shared;
use enphased::base::reading::Serial;
use enphased::simulator::{Condition, Fault, Gateway, GatewayOptions, Pages, SimulationOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::Level;

use crate::support::house::{HOUR, House, MINUTE, one_login};
use crate::support::log::Log;

const SECOND: Duration = Duration::from_secs(1);
/// The default interval.
const INTERVAL: Duration = Duration::from_secs(30);

/// A house with only a poller, and the results of its polls.
struct Watched {
    house: House,
    latest: watch::Receiver<Snapshot>,
    shared: Shared,
    poller: JoinHandle<Option<Serial>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

impl Watched {
    /// Starts the poller, and waits for its second reading, which the others follow at each interval.
    async fn start() -> Self {
        Self::with(GatewayOptions::new(Pages::metered())).await
    }

    async fn with(gateway: GatewayOptions) -> Self {
        let house = House::new(SimulationOptions { gateways: vec![gateway], ..SimulationOptions::default() });
        // So that a reading takes longer than a refusal, as on a real gateway.
        house.simulation.gateways[0].fail(Fault::Delay(SECOND / 5));
        let (shared, poller) = house.start_poller();
        let mut watched = Self { latest: shared.latest.reader(), house, shared, poller };
        watched.next_reading().await;
        watched.next_reading().await;
        watched
    }

    fn gateway(&self) -> &Gateway {
        &self.house.simulation.gateways[0]
    }

    /// Waits for the next reading, and returns when it arrived.
    async fn next_reading(&mut self) -> Instant {
        let serial = self.house.serial();
        let number = |snapshot: &Snapshot| {
            snapshot
                .gateway(&serial)
                .and_then(|gateway| gateway.reading.as_ref())
                .map(|reading| reading.number)
        };
        let before = number(&self.latest.borrow());
        let reading = self.latest.wait_for(|snapshot| number(snapshot) != before);
        timeout(HOUR, reading).await.expect("a reading arrives").unwrap();
        Instant::now()
    }

    /// Waits until the gateway is offline, and returns when that was.
    async fn offline(&mut self) -> Instant {
        let serial = self.house.serial();
        let offline = self.latest.wait_for(|snapshot| is_offline(snapshot, &serial));
        timeout(HOUR, offline).await.expect("the gateway goes offline").unwrap();
        Instant::now()
    }

    fn is_offline(&self) -> bool {
        is_offline(&self.shared.latest.reader().borrow(), &self.house.serial())
    }

    /// Checks that the gateway was offline 120 s after its last reading at `last`.
    async fn goes_offline_in_two_minutes(&mut self, last: Instant) {
        let silence = self.offline().await - last;
        assert!((120 * SECOND..121 * SECOND).contains(&silence), "{silence:?}");
    }
}

fn is_offline(snapshot: &Snapshot, serial: &Serial) -> bool {
    let availability = snapshot.gateway(serial).and_then(|gateway| gateway.availability.as_ref());
    availability.is_some_and(|known| matches!(&*known.value, Availability::Offline(_)))
}

/// Returns the number of refused connections, each of which is a failed poll.
fn refused(log: &Log) -> usize {
    log.lines(": connection refused").len()
}

/// Checks that the log has one warning and one line about its end.
fn one_outage(log: &Log) {
    let (begun, ended) = (log.lines(" WARN "), log.lines(" INFO "));
    assert!(begun.len() == 1 && begun[0].contains("did not respond"), "{begun:?}");
    assert!(ended.len() == 1 && ended[0].contains("the gateway is responding again "), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_switched_off_is_offline_after_two_minutes() {
    let mut watched = Watched::start().await;
    let (log, _guard) = Log::start_at(Level::DEBUG);
    let last = Instant::now();
    watched.gateway().set_condition(Condition::Refusing);
    watched.goes_offline_in_two_minutes(last).await;
    assert!((3..=4).contains(&refused(&log)), "{}", refused(&log));
    assert_eq!(watched.house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn a_return_is_noticed_within_an_interval_and_after_ten_minutes_within_a_minute() {
    for (away, within, attempts) in [
        (110 * SECOND, INTERVAL, 3),
        (270 * SECOND, INTERVAL, 9),
        (595 * SECOND, INTERVAL, 19),
        (30 * MINUTE, MINUTE, 20 + 20),
        (6 * HOUR, MINUTE, 20 + 350),
    ] {
        let mut watched = Watched::start().await;
        let (log, _guard) = Log::start_at(Level::DEBUG);
        watched.gateway().set_condition(Condition::Refusing);
        sleep(away).await;
        assert_eq!(watched.is_offline(), away > 2 * MINUTE, "{away:?}");
        let failed = refused(&log);
        assert!(failed.abs_diff(attempts) <= 1, "{failed} attempts in {away:?}");
        watched.gateway().heal();
        let back = Instant::now();
        let noticed = watched.next_reading().await - back;
        assert!(noticed <= within + SECOND, "{noticed:?} after {away:?}");
        assert!(!watched.is_offline());
        let usual = watched.next_reading().await - (back + noticed);
        assert!(usual <= INTERVAL + SECOND, "{usual:?}");
        one_outage(&log);
        assert_eq!(watched.house.cloud(), one_login());
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_hangs_is_offline_after_two_minutes_and_is_contacted_less_and_less_often() {
    for responds_to_tls in [false, true] {
        let mut watched = Watched::start().await;
        let (log, _guard) = Log::start_at(Level::DEBUG);
        let (last, before) = (Instant::now(), watched.gateway().counts().connections);
        if responds_to_tls {
            watched.gateway().heal();
            watched.gateway().fail(Fault::Hang);
        } else {
            watched.gateway().set_condition(Condition::Silent);
        }
        watched.goes_offline_in_two_minutes(last).await;
        sleep(58 * MINUTE).await;
        let connections = watched.gateway().counts().connections - before;
        assert!((8..=20).contains(&connections), "{connections} connections in an hour");
        watched.gateway().heal();
        let noticed = timeout(6 * MINUTE, watched.next_reading()).await;
        assert!(noticed.is_ok() && !watched.is_offline());
        one_outage(&log);
        assert_eq!(watched.house.cloud(), one_login());
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_takes_minutes_is_reported_once_and_its_reading_is_used() {
    let mut watched = Watched::start().await;
    let (log, _guard) = Log::start_at(Level::DEBUG);
    watched.gateway().heal();
    watched.gateway().fail(Fault::Delay(44 * SECOND));
    // Until enough pages are due at once.
    watched.offline().await;
    let begun = log.lines(" WARN ");
    assert!(begun.len() == 1 && begun[0].contains("no reading from the gateway for 2 min"), "{begun:?}");
    watched.next_reading().await;
    assert!(!watched.is_offline());
    let ended = log.lines(" INFO ");
    assert!(ended.len() == 1 && ended[0].contains("the gateway is responding again "), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn the_nightly_restart_is_quiet_and_short() {
    let gateway = GatewayOptions { nightly_restart: true, ..GatewayOptions::new(Pages::metered()) };
    let mut watched = Watched::with(gateway).await;
    let (log, _guard) = Log::start_at(Level::DEBUG);
    // From 6:00 to 23:00.
    sleep(17 * HOUR).await;
    assert_eq!(refused(&log), 0);
    while refused(&log) == 0 {
        sleep(SECOND).await;
    }
    watched.next_reading().await;
    watched.next_reading().await;
    assert!((3..=4).contains(&refused(&log)), "{}", refused(&log));
    let loud = [log.lines(" WARN "), log.lines(" INFO ")].concat();
    assert!(loud.is_empty(), "{loud:?}");
    assert_eq!(watched.house.cloud(), one_login());
}
