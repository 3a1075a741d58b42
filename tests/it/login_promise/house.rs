//! A house with a gateway, a daemon that can be restarted any number of times, and a cloud that counts its requests.

use std::sync::Arc;
use std::time::Duration;

use enphased::app::config;
use enphased::app::config::secret::{Account, SecretSource};
use enphased::app::latest::Latest;
use enphased::app::poller::claims::Claims;
use enphased::app::poller::trouble::Trouble;
use enphased::app::poller::{Reader, Shared};
use enphased::app::status::StatusList;
use enphased::app::token_provider::ending::Ending;
use enphased::app::token_provider::{Settings, TokenProvider};
use enphased::base::clock::Clock;
use enphased::base::heartbeat::Heartbeat;
use enphased::base::reading::{Reading, Serial};
use enphased::base::secrets::Secret;
use enphased::io::cloud::Addresses;
use enphased::io::state_dir::StateDir;
use enphased::rules::logins::clocks::{Clocks, GatewayTime};
use enphased::simulator::{CloudCounts, GatewayOptions, Pages, Simulation, SimulationOptions};
use fastrand::Rng;
use jiff::tz::TimeZone;
use tokio::sync::Mutex;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct House {
    pub(super) simulation: Simulation,
    /// The daemon's clock, which may differ from the simulation's.
    pub(super) clock: Clock,
    pub(super) state: StateDir,
    _directory: tempfile::TempDir,
}

impl House {
    pub(super) fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    /// Returns a directory in memory, if there is one, because the state is written thousands of times.
    pub(super) fn in_memory() -> Self {
        Self::on(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn on(directory: tempfile::TempDir) -> Self {
        let gateway = GatewayOptions { nightly_restart: true, ..GatewayOptions::new(Pages::metered()) };
        let options = SimulationOptions { gateways: vec![gateway], ..SimulationOptions::default() };
        let start = "2026-06-21T09:00:00Z".parse().unwrap();
        Self {
            simulation: Simulation::start(&Clock::simulated(start), options).unwrap(),
            clock: Clock::simulated(start),
            state: StateDir::open(directory.path()).unwrap(),
            _directory: directory,
        }
    }

    pub(super) fn serial(&self) -> Serial {
        Serial::parse(&self.simulation.gateways[0].serial()).unwrap()
    }

    /// Returns the state of the clocks after a request to the gateway.
    pub(super) fn clocks(&self) -> Clocks {
        Clocks::new(self.clock.moment(), GatewayTime::Time(self.clock.now()))
    }

    pub(super) fn counts(&self) -> CloudCounts {
        CloudCounts { login_times: Vec::new(), ..self.simulation.cloud.counts() }
    }

    pub(super) fn settings(&self, password: &str) -> Settings {
        let cloud = &self.simulation.cloud;
        Settings {
            cloud: Addresses { enlighten: cloud.enlighten_url(), entrez: cloud.entrez_url() },
            account: Account {
                username: Some(Simulation::EMAIL.to_owned()),
                password: Some(SecretSource::Given(Secret::new(password.to_owned()))),
            },
            renew_short_tokens: false,
            several_gateways: false,
        }
    }

    pub(super) fn token_provider(&self, password: &str) -> TokenProvider {
        TokenProvider::new(self.state.clone(), self.clock.clone(), self.settings(password), Rng::with_seed(1))
    }

    pub(super) fn shared(&self, password: &str) -> Shared {
        Shared {
            state: self.state.clone(),
            clock: self.clock.clone(),
            zone: TimeZone::UTC,
            token_provider: Arc::new(Mutex::new(self.token_provider(password))),
            ending: Ending::default(),
            latest: Latest::new(),
            statuses: StatusList::new(),
            requests: enphased::app::requests::Requests::new(),
            claims: Claims::default(),
            tally: enphased::base::tally::Tally::default(),
            heartbeats: enphased::base::heartbeat::Heartbeats::default(),
        }
    }

    /// Creates the reader of a daemon that has just started.
    pub(super) fn reader(&self, shared: Shared, interval: Duration) -> Reader {
        let gateway = config::Gateway {
            address: Some(self.simulation.gateways[0].address().parse().unwrap()),
            serial: None,
            name: None,
            interval,
            insecure: false,
            live_data: false,
            user: None,
            password: None,
            proxy: Vec::new(),
            proxy_serial: None,
        };
        Reader::new(gateway, shared, Heartbeat::new())
    }

    /// Starts a daemon and polls once.
    pub(super) async fn start(&self, password: &str) -> Result<Reading, Trouble> {
        self.reader(self.shared(password), MINUTE / 2)
            .poll()
            .await
            .map(|reading| reading.expect("a first poll is always due"))
    }
}
