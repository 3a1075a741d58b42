//! Tests the publisher against a real mosquitto on a free port of loopback.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enphased::app::latest::{Availability, Latest};
use enphased::app::publisher;
use enphased::base::clock::Clock;
use enphased::base::heartbeat::Heartbeat;
use enphased::base::reading::{GatewayFacts, Inverter, Production, Reading, Serial, Source};
use enphased::base::secrets::Secret;
use enphased::base::units::Watts;
use enphased::io::mqtt::{self, certificates::Certificates};
use enphased::output::homeassistant::Discovery;
use enphased::simulator::{Simulation, SimulationOptions};
use fastrand::Rng;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A time limit that only a failing test reaches.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two checks of something that has to be polled.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// A running mosquitto.
pub(crate) struct Mosquitto {
    pub(crate) dir: TempDir,
    pub(crate) process: Child,
    /// The port for watchers, without TLS and password.
    pub(crate) open: u16,
    /// The port for the daemon, with the settings of the test.
    pub(crate) port: u16,
    full_disk: bool,
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The maximum size of a file, in blocks of 512 bytes, for a broker whose disk is full.
const FULL: u32 = 8;

fn spawn(dir: &Path, full_disk: bool) -> Child {
    let mut command = Command::new(if full_disk { "sh" } else { "mosquitto" });
    if full_disk {
        // With the signal ignored a write that is too long fails, as it does on a full disk.
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {FULL}; exec mosquitto \"$@\""), "sh"]);
    }
    command
        .env("PATH", format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default()))
        .arg("-c")
        .arg(dir.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("mosquitto does not start ({error}); install it: apt-get install mosquitto")
        })
}

impl Mosquitto {
    /// Starts a broker with these settings for the daemon's listener and for the whole broker.
    pub(crate) async fn start(dir: TempDir, listener: &str, whole: &str) -> Self {
        Self::on_disk(dir, listener, whole, false).await
    }

    /// Starts a broker that cannot store more than a few kilobytes.
    pub(crate) async fn on_full_disk(memory: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let memory = memory.replace("PATH", &dir.path().display().to_string());
        Self::on_disk(dir, "allow_anonymous true", &memory, true).await
    }

    async fn on_disk(dir: TempDir, listener: &str, whole: &str, full_disk: bool) -> Self {
        // A port that was free a moment ago may be taken by now.
        for _ in 0..5 {
            let (open, port) = (free_port(), free_port());
            let mut config = String::from("per_listener_settings true\nuser root\nlog_dest none\n");
            writeln!(config, "{whole}\nlistener {open} 127.0.0.1\nallow_anonymous true").unwrap();
            writeln!(config, "listener {port} 127.0.0.1\n{listener}").unwrap();
            fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
            let mut process = spawn(dir.path(), full_disk);
            if answers(&mut process, port).await {
                return Self { dir, process, open, port, full_disk };
            }
        }
        panic!("mosquitto does not come up on any port");
    }

    pub(crate) async fn anybody() -> Self {
        Self::start(tempfile::tempdir().unwrap(), "allow_anonymous true", "").await
    }

    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.dir.path(), self.full_disk);
        assert!(answers(&mut self.process, self.port).await, "mosquitto comes back on its port");
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let process = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().await.unwrap().success());
    }

    pub(crate) fn address(&self, scheme: &str) -> mqtt::Address {
        format!("{scheme}://localhost:{}", self.port).parse().unwrap()
    }
}

/// Waits until the broker accepts connections; returns `false` if it has ended.
async fn answers(process: &mut Child, port: u16) -> bool {
    loop {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(LOOK).await;
    }
}

/// A client that subscribes to all topics of the broker.
pub(crate) struct Watcher {
    pub(crate) client: AsyncClient,
    task: JoinHandle<()>,
    pub(crate) topics: watch::Receiver<BTreeMap<String, Vec<String>>>,
    /// Every message in order, with whether it was retained.
    pub(crate) order: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Watcher {
    pub(crate) fn new(broker: &Mosquitto) -> Self {
        let id = format!("watcher{}", fastrand::u32(..));
        let mut options = MqttOptions::new(id, ("localhost", broker.open));
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
        let (tell, topics) = watch::channel(BTreeMap::<String, Vec<String>>::new());
        let order = Arc::new(Mutex::new(Vec::new()));
        let came = Arc::clone(&order);
        let listener = client.clone();
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        listener.subscribe("#", QoS::AtMostOnce).await.unwrap();
                    }
                    Ok(Event::Incoming(Packet::Publish(message))) => tell.send_modify(|topics| {
                        let topic = String::from_utf8(message.topic.to_vec()).unwrap();
                        let payload = String::from_utf8(message.payload.to_vec()).unwrap();
                        came.lock().unwrap().push((topic.clone(), message.retain));
                        topics.entry(topic).or_default().push(payload);
                    }),
                    Ok(_) => {}
                    Err(_) => sleep(LOOK).await,
                }
            }
        });
        Self { client, task, topics, order }
    }

    /// Waits until the newest message on `topic` contains `part`.
    pub(crate) async fn until(&mut self, topic: &str, part: &str) {
        let newest = |topics: &BTreeMap<String, Vec<String>>| {
            topics.get(topic).and_then(|payloads| payloads.last()).is_some_and(|last| last.contains(part))
        };
        let found = timeout(PATIENCE, self.topics.wait_for(newest)).await.is_ok();
        assert!(found, "{topic} never said {part}; seen: {:?}", self.topics.borrow().get(topic));
    }

    pub(crate) async fn say(&self, topic: &str, payload: &'static str) {
        self.client.publish(topic, payload, PublishOptions::at_least_once()).await.unwrap();
    }

    pub(crate) fn count(&self, topic: &str) -> usize {
        self.topics.borrow().get(topic).map_or(0, Vec::len)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until the broker has retained a message with `part` on `topic`.
pub(crate) async fn kept(broker: &Mosquitto, topic: &str, part: &str) {
    Watcher::new(broker).until(topic, part).await;
}

/// A publisher as the daemon runs it.
pub(crate) struct Daemon {
    pub(crate) latest: Latest,
    pub(crate) heartbeat: Heartbeat,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

pub(crate) fn options(address: mqtt::Address) -> mqtt::Options {
    mqtt::Options {
        address,
        user: None,
        password: None,
        certificates: Certificates::default(),
        client_id: format!("enphased{}", fastrand::u32(..)),
        will: Some(enphased::output::topics::status("enphased", false)),
        burst: mqtt::BURST,
    }
}

/// Returns the options for plain topics without a state directory.
pub(crate) fn content(broker: &mqtt::Options) -> publisher::Options {
    publisher::Options {
        prefix: "enphased".to_owned(),
        topics: true,
        homeassistant: None,
        domoticz: None,
        interval: Duration::from_secs(30),
        instance: broker.client_id.clone(),
        requests: None,
        state: None,
    }
}

pub(crate) fn discovery() -> Discovery {
    Discovery {
        discovery_prefix: "homeassistant".to_owned(),
        prefix: "enphased".to_owned(),
        expire_after: Duration::from_secs(300),
        inverters: true,
        details: false,
        several: false,
        configuration_url: None,
    }
}

impl Daemon {
    pub(crate) fn start(broker: mqtt::Options) -> Self {
        Self::with_discovery(broker, None)
    }

    pub(crate) fn with_discovery(broker: mqtt::Options, homeassistant: Option<Discovery>) -> Self {
        let content = publisher::Options { homeassistant, ..content(&broker) };
        Self::of(broker, content, Latest::new())
    }

    pub(crate) fn of(broker: mqtt::Options, content: publisher::Options, latest: Latest) -> Self {
        let (heartbeat, (stop, stopped)) = (Heartbeat::new(), oneshot::channel());
        let (their_board, their_pulse) = (latest.clone(), heartbeat.clone());
        let task = tokio::spawn(async move {
            let stop = async { stopped.await.unwrap_or(()) };
            let caught_up = watch::Sender::new(0);
            publisher::broker::run(
                broker,
                content,
                &their_board,
                &their_pulse,
                Rng::with_seed(1),
                &caught_up,
                stop,
            )
            .await;
        });
        Self { latest, heartbeat, stop: Some(stop), task }
    }

    pub(crate) fn read(&self, power: f64) {
        self.latest.put_reading(reading(power, 1));
    }

    /// Waits for the message about the problem with the broker.
    pub(crate) async fn trouble(&self) -> String {
        let mut snapshot = self.latest.reader();
        let told = timeout(PATIENCE, snapshot.wait_for(|snapshot| snapshot.broker_trouble().is_some())).await;
        told.expect("the trouble is told").unwrap().broker_trouble().unwrap().to_owned()
    }

    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(PATIENCE, &mut self.task).await.expect("it stops").unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) const SERIAL: &str = "122300000001";

pub(crate) fn reading(power: f64, inverters: usize) -> Reading {
    let facts = GatewayFacts {
        serial: Serial::parse(SERIAL).unwrap(),
        name: None,
        firmware: "8.3.5289".to_owned(),
        part_number: None,
        metered: true,
    };
    let mut reading = Reading::empty("2026-11-20T10:19:31Z".parse().unwrap(), facts);
    reading.production = Some(Production {
        power_w: Watts::new(power),
        energy_wh: None,
        today_wh: None,
        yesterday_wh: None,
        source: Source::Meter,
        measured_at: None,
    });
    let inverter = |n: usize| Inverter {
        power_w: Watts::new(power),
        ..Inverter::unmeasured(Serial::parse(&format!("4822000000{n:02}")).unwrap())
    };
    reading.inverters = (0..inverters).map(inverter).collect();
    reading
}

pub(crate) const STATUS: &str = "enphased/status";
pub(crate) const AVAILABILITY: &str = "enphased/122300000001/availability";
pub(crate) const READING: &str = "enphased/122300000001/reading";
pub(crate) const POWER: &str = "enphased/122300000001/production/power_w";

#[tokio::test]
async fn what_is_published_is_kept_and_a_clean_stop_says_offline() {
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    daemon.read(1234.5);
    kept(&broker, STATUS, "online").await;
    kept(&broker, AVAILABILITY, "online").await;
    kept(&broker, READING, "1234.5").await;
    kept(&broker, POWER, "1234.5").await;
    let mut live = Watcher::new(&broker);
    daemon
        .latest
        .put_availability(&Serial::parse(SERIAL).unwrap(), Availability::Offline("no answer".to_owned()));
    live.until(AVAILABILITY, "offline").await;
    daemon.read(1.5);
    live.until(READING, "1.5").await;
    daemon.stop().await;
    kept(&broker, STATUS, "offline").await;
    kept(&broker, AVAILABILITY, "offline").await;
}

#[tokio::test]
async fn a_daemon_that_dies_is_declared_offline_by_its_will() {
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    let mut live = Watcher::new(&broker);
    live.until(STATUS, "online").await;
    drop(daemon);
    live.until(STATUS, "offline").await;
    kept(&broker, STATUS, "offline").await;
}

#[tokio::test]
async fn who_comes_up_gets_the_announcements_and_the_state_again() {
    let broker = Mosquitto::anybody().await;
    let discovery = Discovery { inverters: false, ..discovery() };
    let daemon = Daemon::with_discovery(options(broker.address("mqtt")), Some(discovery));
    daemon.read(1.5);
    kept(&broker, READING, "1.5").await;
    let mut live = Watcher::new(&broker);
    live.until(READING, "1.5").await;
    live.say("homeassistant/status", "online").await;
    let again = |topics: &BTreeMap<String, Vec<String>>| {
        let mut configurations = topics.iter().filter(|(topic, _)| topic.ends_with("/config")).peekable();
        configurations.peek().is_some()
            && configurations.all(|(_, seen)| seen.len() == 2)
            && topics[READING].len() == 2
    };
    assert!(timeout(PATIENCE, live.topics.wait_for(again)).await.is_ok(), "{:?}", live.topics.borrow());
}

#[tokio::test]
async fn a_message_of_offline_by_another_daemon_is_put_right() {
    let broker = Mosquitto::anybody().await;
    let _daemon = Daemon::start(options(broker.address("mqtt")));
    let other = Daemon::start(options(broker.address("mqtt")));
    let mut live = Watcher::new(&broker);
    live.until(STATUS, "online").await;
    drop(other);
    let denied = |topics: &BTreeMap<String, Vec<String>>| {
        topics.get(STATUS).is_some_and(|words| words.ends_with(&["offline".to_owned(), "online".to_owned()]))
    };
    let put_right = timeout(PATIENCE, live.topics.wait_for(denied)).await;
    assert!(put_right.is_ok());
}

#[tokio::test]
async fn a_wrong_password_is_told_and_tried_again_until_it_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let passwords = dir.path().join("passwords");
    set_password(&passwords, "another").await;
    let listener = format!("allow_anonymous false\npassword_file {}", passwords.display());
    let mut broker = Mosquitto::start(dir, &listener, "").await;
    let with_password = mqtt::Options {
        user: Some("solar".to_owned()),
        password: Some(Secret::new("sunshine".to_owned())),
        ..options(broker.address("mqtt"))
    };
    let daemon = Daemon::start(with_password);
    daemon.read(7.5);
    let trouble = daemon.trouble().await;
    assert!(trouble.contains("refused the user \"solar\" or its password"), "{trouble}");
    assert!(!trouble.contains("sunshine"));

    let nobody = Daemon::start(options(broker.address("mqtt")));
    let trouble = nobody.trouble().await;
    assert!(trouble.contains("refused a connection without a user"), "{trouble}");

    set_password(&passwords, "sunshine").await;
    broker.kill().await;
    broker.restart().await;
    kept(&broker, READING, "7.5").await;
    assert_eq!(daemon.latest.reader().borrow().broker_trouble(), None);
}

pub(super) async fn set_password(file: &Path, password: &str) {
    let mut make = Command::new("mosquitto_passwd");
    make.args(["-c", "-b"]).arg(file).args(["solar", password]);
    assert!(make.status().await.unwrap().success());
}

#[tokio::test]
async fn a_broker_that_comes_back_without_memory_gets_everything_again() {
    comes_back("").await;
}

#[tokio::test]
async fn a_broker_that_comes_back_with_old_values_gets_the_new_ones() {
    comes_back(MEMORY).await;
}

/// The settings of a broker that stores everything immediately, at PATH.
pub(crate) const MEMORY: &str =
    "persistence true\npersistence_location PATH/\nautosave_interval 1\nautosave_on_changes true";

async fn comes_back(memory: &str) {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory.replace("PATH", &dir.path().display().to_string());
    let mut broker = Mosquitto::start(dir, "allow_anonymous true", &memory).await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    daemon.read(1.5);
    kept(&broker, POWER, "1.5").await;
    broker.kill().await;
    let trouble = daemon.trouble().await;
    assert!(trouble.contains("lost") || trouble.contains("cannot be reached"), "{trouble}");
    for power in [2.5, 3.5, 4.5] {
        daemon.read(power);
    }
    broker.restart().await;
    kept(&broker, READING, "4.5").await;
    kept(&broker, POWER, "4.5").await;
    kept(&broker, STATUS, "online").await;
    kept(&broker, AVAILABILITY, "online").await;
    // What came in between is old news.
    let mut live = Watcher::new(&broker);
    daemon.read(5.5);
    live.until(READING, "5.5").await;
    assert!(!format!("{:?}", live.topics.borrow()).contains("2.5"));
}

#[tokio::test]
async fn a_broker_that_hangs_delays_nobody_and_ends_on_the_newest() {
    const READINGS: u32 = 4000;
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    let mut live = Watcher::new(&broker);
    daemon.read(0.5);
    live.until(READING, "0.5").await;

    broker.signal("-STOP").await;
    for n in 0..READINGS {
        // Some kilobytes each: more than the sockets' buffers hold.
        daemon.latest.put_reading(reading(f64::from(n) + 0.5, 99));
        tokio::task::yield_now().await;
    }
    let age = daemon.heartbeat.age();
    let turns = async {
        while daemon.heartbeat.age() >= age.max(LOOK) {
            daemon.read(9999.5);
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, turns).await.expect("the publisher's loop turns while the broker hangs");
    daemon.read(9999.5);
    broker.signal("-CONT").await;

    live.until(READING, "9999.5").await;
    live.until(POWER, "9999.5").await;
    let documents = live.count(READING);
    assert!(documents < READINGS as usize / 2, "{documents} readings were kept for the broker");
    daemon.stop().await;
    live.until(STATUS, "offline").await;
}

#[tokio::test]
async fn a_broker_that_hangs_does_not_hold_up_the_stop() {
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    daemon.read(0.5);
    kept(&broker, READING, "0.5").await;
    broker.signal("-STOP").await;
    daemon.stop().await;
    broker.signal("-CONT").await;
    kept(&broker, STATUS, "offline").await;
}

/// Keys and certificates that openssl creates.
struct Ca(PathBuf);

impl Ca {
    async fn new(dir: &Path, name: &str) -> Self {
        let ca = Self(dir.join(name));
        fs::create_dir(&ca.0).unwrap();
        let own = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=test-ca \
                   -keyout ca.key -out ca.pem";
        ca.openssl(own).await;
        ca
    }

    /// Creates a certificate for `name` that is valid for `days`, in `<name>.pem` and `<name>.key`.
    async fn sign(&self, name: &str, days: i32) {
        fs::write(self.file("names"), format!("subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n"))
            .unwrap();
        let request = format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key \
             -out {name}.csr"
        );
        self.openssl(&request).await;
        let sign = format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile names \
             -out {name}.pem"
        );
        self.openssl(&sign).await;
    }

    async fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(&self.0);
        let output = command.output().await.unwrap_or_else(|error| {
            panic!("openssl does not start ({error}); install it: apt-get install openssl")
        });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the settings of a listener with the certificate of `name`.
    fn listener(&self, name: &str) -> String {
        let path = |name: &str| self.file(name).display().to_string();
        format!(
            "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}",
            path("ca.pem"),
            path(&format!("{name}.pem")),
            path(&format!("{name}.key"))
        )
    }
}

fn trusting(broker: &Mosquitto, ca_file: PathBuf) -> mqtt::Options {
    let certificates = Certificates { ca_file: Some(ca_file), ..Certificates::default() };
    mqtt::Options { certificates, ..options(broker.address("mqtts")) }
}

#[tokio::test]
async fn over_tls_the_right_ca_connects_and_another_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (right, wrong) = (Ca::new(dir.path(), "right").await, Ca::new(dir.path(), "wrong").await);
    right.sign("localhost", 30).await;
    let broker = Mosquitto::start(dir, &right.listener("localhost"), "").await;

    let daemon = Daemon::start(trusting(&broker, right.file("ca.pem")));
    daemon.read(8.5);
    kept(&broker, READING, "8.5").await;
    daemon.stop().await;

    let trouble = Daemon::start(trusting(&broker, wrong.file("ca.pem"))).trouble().await;
    assert!(trouble.contains("its CA is unknown; set ca_file"), "{trouble}");
    let trouble = Daemon::start(trusting(&broker, right.file("nothing.pem"))).trouble().await;
    assert!(trouble.contains("nothing.pem: "), "{trouble}");
    let system = mqtt::Options { certificates: Certificates::default(), ..options(broker.address("mqtts")) };
    let trouble = Daemon::start(system).trouble().await;
    assert!(trouble.contains("set ca_file") || trouble.contains("ca_file"), "{trouble}");
}

#[tokio::test]
async fn an_expired_certificate_and_another_name_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new(dir.path(), "ca").await;
    ca.sign("localhost", -1).await;
    ca.sign("elsewhere", 30).await;
    let expired = Mosquitto::start(tempfile::tempdir().unwrap(), &ca.listener("localhost"), "").await;
    let trouble = Daemon::start(trusting(&expired, ca.file("ca.pem"))).trouble().await;
    assert!(trouble.contains("it has expired"), "{trouble}");
    let other = Mosquitto::start(tempfile::tempdir().unwrap(), &ca.listener("elsewhere"), "").await;
    let trouble = Daemon::start(trusting(&other, ca.file("ca.pem"))).trouble().await;
    assert!(trouble.contains("it is not valid for \"localhost\""), "{trouble}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new(dir.path(), "ca").await;
    ca.sign("localhost", 30).await;
    ca.sign("enphased", 30).await;
    let listener = format!("{}\nrequire_certificate true", ca.listener("localhost"));
    let broker = Mosquitto::start(dir, &listener, "").await;

    let without = Daemon::start(trusting(&broker, ca.file("ca.pem")));
    let trouble = without.trouble().await;
    assert!(trouble.contains("if it requires a client certificate, set client_cert"), "{trouble}");

    let certificates = Certificates {
        ca_file: Some(ca.file("ca.pem")),
        client_cert: Some(ca.file("enphased.pem")),
        client_key: Some(ca.file("enphased.key")),
    };
    let daemon = Daemon::start(mqtt::Options { certificates, ..options(broker.address("mqtts")) });
    daemon.read(6.5);
    kept(&broker, READING, "6.5").await;
}

#[tokio::test]
async fn tls_to_a_plain_port_and_the_reverse_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new(dir.path(), "ca").await;
    ca.sign("localhost", 30).await;
    let plain = Mosquitto::anybody().await;
    let trouble = Daemon::start(trusting(&plain, ca.file("ca.pem"))).trouble().await;
    assert!(trouble.contains("if that port does not speak TLS, write mqtt://"), "{trouble}");
    let tls = Mosquitto::start(dir, &ca.listener("localhost"), "").await;
    let trouble = Daemon::start(options(tls.address("mqtt"))).trouble().await;
    assert!(trouble.contains("if that port speaks TLS, write mqtts://"), "{trouble}");
}

/// Returns a command for the built program that reads a simulated gateway and publishes to `broker`.
pub(crate) fn program(
    broker: &Mosquitto,
    simulation: &Simulation,
    dir: &TempDir,
    arguments: &[&str],
) -> Command {
    let text = format!(
        "{}[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\ndomoticz = {{ grid = 13 }}\n",
        simulation.config_toml(&dir.path().join("state"), "interval = \"1s\"\n"),
        broker.address("mqtt").port,
    );
    fs::write(dir.path().join("config.toml"), text).unwrap();
    let mut command = Command::new(crate::program());
    command.env_clear().env("ENPHASED_PASSWORD", Simulation::PASSWORD);
    command.arg("--config").arg(dir.path().join("config.toml")).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn the_built_daemon_publishes_and_says_goodbye() {
    let broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let serial = simulation.gateways[0].serial();
    let mut watcher = Watcher::new(&broker);
    let mut daemon = program(&broker, &simulation, &dir, &["run"]).spawn().unwrap();
    watcher.until("enphased/status", "online").await;
    watcher.until(&format!("enphased/{serial}/availability"), "online").await;
    watcher.until(&format!("enphased/{serial}/reading"), "\"production\"").await;
    watcher.until(&format!("enphased/{serial}/token"), "\"state\":\"valid\"").await;
    watcher.until(&format!("enphased/{serial}/grid/import_wh"), "").await;
    watcher.until("domoticz/in", "\"idx\":13").await;
    let pid = daemon.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap().success());
    assert!(daemon.wait().await.unwrap().success());
    kept(&broker, "enphased/status", "offline").await;
    kept(&broker, &format!("enphased/{serial}/availability"), "offline").await;
    kept(&broker, &format!("enphased/{serial}/reading"), "\"production\"").await;
}

#[tokio::test]
async fn one_poll_is_published_before_the_program_ends() {
    let broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let serial = simulation.gateways[0].serial();
    let mut once = program(&broker, &simulation, &dir, &["run", "--once"]);
    let ended = timeout(PATIENCE, once.status()).await.expect("it does not end").unwrap();
    assert!(ended.success());
    kept(&broker, &format!("enphased/{serial}/reading"), "\"production\"").await;
    kept(&broker, &format!("enphased/{serial}/grid/import_wh"), "").await;
}
