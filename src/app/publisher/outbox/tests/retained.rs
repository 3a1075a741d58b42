//! A test of what the broker has retained in the end, after any history of crashes, outages and readings.

use serde_json::Value;

use super::*;
use crate::output::homeassistant;

/// An event of a random history.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Connect,
    Lose,
    /// The broker restarts without its retained messages.
    ForgetAll,
    /// The daemon is killed, and the gateways stay silent until they are read again.
    Crash,
    Birth,
    /// A reading of a gateway, with the first and the number of its inverters, and with or without phases.
    Read(u8, usize, usize, bool),
    Silence(u8),
    Send(u8),
    Pass(u16),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        2 => Just(Turn::Connect),
        1 => Just(Turn::Lose),
        1 => Just(Turn::ForgetAll),
        1 => Just(Turn::Crash),
        1 => Just(Turn::Birth),
        5 => (1..3_u8, 0..9_usize, 0..9_usize, any::<bool>()).prop_map(|(n, a, b, c)| Turn::Read(n, a, b, c)),
        1 => (1..3_u8).prop_map(Turn::Silence),
        4 => any::<u8>().prop_map(Turn::Send),
        3 => (0..2000_u16).prop_map(Turn::Pass),
    ]
}

fn serial(gateway: u8) -> Serial {
    Serial::parse(&gateway.to_string()).unwrap()
}

/// Returns a reading in which no device belongs to another gateway.
fn house(gateway: u8, first: usize, inverters: usize, with_phases: bool) -> Reading {
    let own = |of: &Serial| Serial::parse(&format!("{gateway}{}", &of.as_str()[1..])).unwrap();
    let mut reading = test_readings::full();
    reading.gateway.serial = serial(gateway);
    reading.inverters = roof(20).into_iter().skip(first).take(inverters).collect();
    reading.inverters.iter_mut().for_each(|it| it.serial = own(&it.serial));
    reading.batteries.iter_mut().for_each(|it| it.serial = own(&it.serial));
    if !with_phases {
        reading.phases.clear();
    }
    reading
}

/// A daemon, its files and the retained messages of the broker.
struct World {
    latest: Latest,
    snapshot: watch::Receiver<Snapshot>,
    outbox: Outbox,
    connected: bool,
    files: BTreeMap<Serial, String>,
    retained: BTreeMap<String, String>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let (latest, snapshot, outbox) = bench(Options { topics: true, ..discovery() });
        let (files, retained) = (BTreeMap::new(), BTreeMap::new());
        Self { latest, snapshot, outbox, connected: false, files, retained, now: Instant::now() }
    }

    fn connect(&mut self) {
        if !self.connected {
            self.connected = true;
            self.outbox.connected();
        }
    }

    /// Ends the connection; the broker publishes the last will.
    fn lose(&mut self) {
        if self.connected {
            self.connected = false;
            self.outbox.lost();
            self.retained.insert("e/status".to_owned(), "offline".to_owned());
        }
    }

    /// Sends at most this many orders, and writes the records when there is nothing more to send, as the daemon does.
    fn send(&mut self, most: usize) {
        for _ in 0..most {
            match self.outbox.next(&self.snapshot.borrow(), self.now) {
                Some(Command::Publish(message)) if message.payload.is_empty() => {
                    self.retained.remove(&message.topic);
                }
                Some(Command::Publish(message)) => _ = self.retained.insert(message.topic, message.payload),
                Some(Command::Subscribe(_)) => {}
                None => {
                    let files = &mut self.files;
                    self.outbox.save(Some(self.now), |serial, announced| {
                        files.insert(serial.clone(), serde_json::to_string(announced).unwrap());
                    });
                    return;
                }
            }
        }
    }

    fn crash(&mut self) {
        // Later, because records are written only now and then.
        self.now += Duration::from_secs(3600);
        self.send(usize::MAX);
        self.lose();
        (self.latest, self.snapshot, self.outbox) = bench(Options { topics: true, ..discovery() });
        for (serial, text) in &self.files {
            self.outbox.remember(serial.clone(), serde_json::from_str(text).unwrap());
        }
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Connect => self.connect(),
            Turn::Lose => self.lose(),
            Turn::ForgetAll => {
                self.lose();
                self.retained.clear();
            }
            Turn::Crash => self.crash(),
            Turn::Birth => drop(self.outbox.incoming("homeassistant/status", b"online", false)),
            Turn::Read(gateway, first, inverters, with_phases) => {
                self.latest.put_reading(house(gateway, first, inverters, with_phases));
            }
            Turn::Silence(gateway) => {
                self.latest.put_availability(&serial(gateway), Availability::Offline("no answer".to_owned()));
            }
            Turn::Send(most) => self.send(most.into()),
            Turn::Pass(milliseconds) => self.now += Duration::from_millis(milliseconds.into()),
        }
    }

    /// Sends everything, however long that takes.
    fn finish(&mut self) {
        self.connect();
        loop {
            self.send(usize::MAX);
            match self.outbox.wakes() {
                Some(wake) => self.now = self.now.max(wake),
                None => return,
            }
        }
    }

    fn document(&self, gateway: u8) -> Option<Value> {
        let text = self.retained.get(&format!("e/{gateway}/reading"))?;
        Some(serde_json::from_str(text).unwrap())
    }
}

/// Returns the name in the document of the entity with this configuration, if its state is there.
fn name(configuration: &Value, gateway: u8) -> Option<String> {
    if configuration["state_topic"] != format!("e/{gateway}/reading") {
        return None;
    }
    let template = configuration["value_template"].as_str()?;
    let words = template.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).nth(2).map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_broker_ends_up_with_the_newest_of_everything(turns in prop::collection::vec(turn(), 0..40)) {
        let mut world = World::new();
        for turn in turns {
            world.turn(turn);
        }
        world.finish();
        let settings = discovery().homeassistant.unwrap();
        prop_assert_eq!(&world.retained["e/status"], "online");
        for gateway in 1..3_u8 {
            let snapshot = world.snapshot.borrow();
            let known = snapshot.gateway(&serial(gateway));
            let availability = world.retained.get(&format!("e/{gateway}/availability")).map(String::as_str);
            let is_online = known.is_some_and(Gateway::is_online);
            prop_assert_eq!(availability == Some("online"), is_online, "no old value looks current");
            let Some(reading) = known.and_then(Gateway::fresh_reading) else { continue };

            for wanted in homeassistant::discovery(&reading.value, &settings) {
                prop_assert_eq!(world.retained.get(&wanted.topic), Some(&wanted.payload));
            }
            for wanted in topics::values("e", &reading.value, |_, _| true) {
                prop_assert_eq!(world.retained.get(&wanted.topic), Some(&wanted.payload));
            }
            let entities = homeassistant::entities(&reading.value, &settings);
            let wanted = homeassistant::document(&reading.value, &settings, entities, &[]);
            let wanted: Value = serde_json::from_str(&wanted.payload).unwrap();
            let document = world.document(gateway).unwrap();
            for (key, value) in document["entities"].as_object().unwrap() {
                prop_assert_eq!(value, wanted["entities"].get(key).unwrap_or(&Value::Null), "{}", key);
            }
            for (topic, text) in &world.retained {
                let Ok(configuration) = serde_json::from_str::<Value>(text) else { continue };
                if let Some(name) = name(&configuration, gateway) {
                    prop_assert!(document["entities"].get(&name).is_some(), "{} leads nowhere", topic);
                }
            }
            for key in wanted["entities"].as_object().unwrap().keys() {
                prop_assert!(document["entities"].get(key).is_some(), "{} is missing", key);
            }
        }
    }
}
