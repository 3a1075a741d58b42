//! Tests reloads of the configuration in virtual time: unchanged tasks are not disturbed.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use enphased::app::config::{self, Config};
use enphased::app::daemon::notify::Notify;
use enphased::app::daemon::{self, Inputs};
use enphased::app::history::disks::Disks;
use enphased::io::state_dir::StateDir;
use enphased::simulator::{Condition, GatewayOptions, Pages, SimulationOptions};
use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::support::house::{House, MINUTE};
use crate::support::webhook::Webhook;

/// A house whose daemon reloads the configuration that was written last.
struct Reloads {
    house: House,
    written: Mutex<String>,
    hangup: mpsc::Sender<()>,
    hangups: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Reloads {
    fn new(gateways: usize) -> Self {
        let gateways = (0..gateways).map(|_| GatewayOptions::new(Pages::metered())).collect();
        let house = House::new(SimulationOptions { gateways, ..SimulationOptions::default() });
        let (hangup, hangups) = mpsc::channel(1);
        Self { house, written: Mutex::new(String::new()), hangup, hangups: Mutex::new(Some(hangups)) }
    }

    /// Returns the table of a gateway with more lines.
    fn table(&self, place: usize, more: &str) -> String {
        let address = self.house.simulation.gateways[place].address();
        format!("[[gateway]]\naddress = {address:?}\n{more}\n")
    }

    fn config(&self) -> Config {
        let house = self.house.toml();
        let (head, _) = house.split_once("[[gateway]]").unwrap();
        let text = format!("{head}\n{}", self.written.lock().unwrap());
        let config = config::complete(&text, None, &self.house.environment()).unwrap();
        Config { stdout: None, zone: jiff::tz::TimeZone::UTC, ..config }
    }

    fn write(&self, text: &str) {
        text.clone_into(&mut self.written.lock().unwrap());
    }

    async fn reload(&self, text: &str) {
        self.write(text);
        self.hangup.send(()).await.unwrap();
        sleep(MINUTE).await;
    }

    /// Runs the daemon during `story`; returns the last status that systemd received.
    async fn run(&self, story: impl Future<Output = ()>) -> String {
        let (tell, mut told) = mpsc::unbounded_channel();
        let hangups = self.hangups.lock().unwrap().take().unwrap();
        let inputs = Inputs {
            state: StateDir::open(self.house.state()).unwrap(),
            clock: self.house.clock.clone(),
            rng: Rng::with_seed(5),
            notify: Notify::Channel(tell, None),
            hangups,
            listeners: None,
            history_disks: Disks::inline(),
            more_stops: mpsc::channel(1).1,
        };
        let running = daemon::run(self.config(), inputs, || Ok(self.config()), std::future::pending());
        tokio::select! { ended = running => panic!("{ended:?}"), () = story => {} }
        std::iter::from_fn(|| told.try_recv().ok()).filter(|line| line.starts_with("STATUS=")).last().unwrap()
    }

    fn handshakes(&self, place: usize) -> u64 {
        self.house.simulation.gateways[place].counts().handshakes
    }

    fn polls(&self, place: usize) -> u64 {
        let counts = self.house.simulation.gateways[place].counts();
        counts.paths.get("/ivp/meters/readings").copied().unwrap_or_default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_reloads_that_change_nothing_disturbs_nothing() {
    let house = Reloads::new(1);
    house.write(&house.table(0, ""));
    let story = async {
        sleep(MINUTE).await;
        for _ in 0..1000 {
            house.hangup.try_send(()).ok();
            sleep(Duration::from_millis(100)).await;
        }
        sleep(MINUTE).await;
    };
    house.run(story).await;
    assert_eq!(house.handshakes(0), 1);
    // Three minutes and forty seconds.
    assert_eq!(house.polls(0), 8);
    assert_eq!(house.house.cloud().login_attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stays_keeps_its_connection_whatever_else_changes() {
    let house = Reloads::new(3);
    let [first, second, third] = [0, 1, 2].map(|place| house.table(place, ""));
    let broker = "[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n";
    house.write(&(first.clone() + &second));
    let story = async {
        sleep(MINUTE).await;
        house.reload(&format!("{first}{second}{broker}")).await;
        house.reload(&format!("{third}{first}{second}{broker}homeassistant = true\n")).await;
        assert_eq!((house.polls(0), house.polls(2) > 0), (6, true));
        house.reload(&format!("{first}{third}")).await;
        let left = house.polls(1);
        house.reload(&format!("{first}{}", house.table(2, "interval = \"10s\""))).await;
        assert_eq!(house.polls(1), left, "the gateway was removed from the configuration");
        house.reload(&first).await;
    };
    let status = house.run(story).await;
    assert!(status.contains("from the sun"), "one gateway is left, and speaks for itself: {status}");
    assert_eq!(house.handshakes(0), 1);
    assert_eq!(house.polls(0), 12);
    assert_eq!(house.handshakes(2), 2, "its settings changed once");
    let cloud = house.house.cloud();
    assert_eq!((cloud.login_attempts, cloud.tokens), (1, 3), "a gateway that is added shares the login");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_without_its_gateways_is_refused() {
    let house = Reloads::new(1);
    house.write(&house.table(0, ""));
    let story = async {
        sleep(MINUTE).await;
        house.reload("").await;
        house.reload("[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n").await;
    };
    house.run(story).await;
    assert_eq!((house.handshakes(0), house.polls(0)), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn what_all_gateways_share_starts_everything_anew_and_logs_in_nowhere() {
    let house = Reloads::new(1);
    house.write(&house.table(0, ""));
    let story = async {
        sleep(MINUTE).await;
        // Still in the table [cloud].
        house.reload(&format!("renew_short_tokens = true\n{}", house.table(0, ""))).await;
    };
    house.run(story).await;
    assert_eq!(house.handshakes(0), 2);
    assert_eq!(house.house.cloud().login_attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_two_tables_lead_to_is_polled_once() {
    let house = Reloads::new(1);
    let second = house.table(0, "").replace("127.0.0.1", "localhost");
    house.write(&(house.table(0, "") + &second));
    let status = house.run(sleep(10 * MINUTE)).await;
    assert_eq!(house.polls(0), 20);
    assert!(status.contains("1 of 2 gateways responding"), "{status}");
    let first = house.house.simulation.gateways[0].address();
    for address in [first.replace("127.0.0.1", "localhost"), first] {
        assert!(status.contains(&format!("the gateway at {address}")), "{status}");
    }
}

/// A port that no other process gets, at which the daemon may listen.
fn reserved() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test(start_paused = true)]
async fn the_server_moves_and_stays_where_it_was_if_the_new_address_is_in_use() {
    let house = Reloads::new(1);
    let ((_first, first), (_second, second)) = (reserved(), reserved());
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = |address: SocketAddr| house.table(0, "") + &format!("[server]\nlisten = [\"{address}\"]\n");
    let serves = async |address: SocketAddr| TcpStream::connect(address).await.is_ok();
    house.write(&at(first));
    let story = async {
        sleep(MINUTE).await;
        assert!(serves(first).await);
        house.reload(&at(taken.local_addr().unwrap())).await;
        assert!(serves(first).await, "the old configuration stays");
        house.reload(&at(second)).await;
        assert!(serves(second).await && !serves(first).await);
        house.reload(&house.table(0, "")).await;
        assert!(!serves(second).await);
    };
    house.run(story).await;
    assert_eq!(house.handshakes(0), 1, "the gateway's connection was not disturbed");
}

/// Returns the status of a page of the proxy at `address`.
async fn proxied(address: SocketAddr, page: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_proxy_moves_and_stays_where_it_was_if_the_new_address_is_in_use() {
    let house = Reloads::new(2);
    let ((_first, first), (_second, second)) = (reserved(), reserved());
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = |address: SocketAddr| house.table(0, &format!("proxy = [\"{address}\"]")) + &house.table(1, "");
    let serves = async |address: SocketAddr| TcpStream::connect(address).await.is_ok();
    house.write(&at(first));
    let story = async {
        sleep(MINUTE).await;
        assert!(serves(first).await);
        house.reload(&at(taken.local_addr().unwrap())).await;
        assert!(serves(first).await, "the old configuration stays");
        house.reload(&at(second)).await;
        assert!(serves(second).await && !serves(first).await);
        assert_eq!(house.handshakes(0), 1, "only the proxy has moved");
        let page = "/ivp/meters/readings";
        assert_eq!(proxied(second, page).await, 200, "it has the pages of the gateway that is polled");
        house.reload(&(at(second) + "[server]\nopen_to = [\"192.0.2.0/24\"]\n")).await;
        assert!(serves(second).await);
        house.reload(&(house.table(0, "") + &house.table(1, ""))).await;
        assert!(!serves(second).await);
    };
    house.run(story).await;
    assert_eq!(house.handshakes(1), 1, "the other gateway's connection was not disturbed");
    assert_eq!(house.house.cloud().logins, 1);
}

#[tokio::test(start_paused = true)]
async fn alerts_are_switched_on_moved_and_switched_off() {
    let house = Reloads::new(1);
    let (first, second) = (Webhook::open().await, Webhook::open().await);
    let gateway = house.table(0, "");
    house.write(&gateway);
    let story = async {
        sleep(MINUTE).await;
        house.house.simulation.gateways[0].set_condition(Condition::ReplacedKey);
        sleep(10 * MINUTE).await;
        house.reload(&format!("{gateway}{}", first.table())).await;
        sleep(10 * MINUTE).await;
        assert_eq!(first.titles(), ["The key of the gateway has changed"], "it lasted already");
        house.reload(&format!("{gateway}{}", second.table())).await;
        house.house.simulation.gateways[0].heal();
        sleep(10 * MINUTE).await;
        assert_eq!(second.titles(), ["The key of the gateway is trusted again"], "nothing is sent again");
        house.reload(&gateway).await;
        house.house.simulation.gateways[0].set_condition(Condition::ReplacedKey);
        sleep(25 * 60 * MINUTE).await;
    };
    house.run(story).await;
    assert_eq!((first.titles().len(), second.titles().len()), (1, 1));
    assert_eq!(house.house.cloud().login_attempts, 1);
}
