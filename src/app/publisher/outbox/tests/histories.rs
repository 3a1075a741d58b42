//! Tests of random histories of connections, readings and messages of other clients.

use super::*;

/// An event of a random history.
#[derive(Clone, Debug)]
enum Step {
    Connect,
    Lose,
    Read(u8),
    Silence(u8),
    Send(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Connect),
        Just(Step::Lose),
        (0..3_u8).prop_map(Step::Read),
        (0..3_u8).prop_map(Step::Silence),
        (1..9_u8).prop_map(Step::Send),
    ]
}

proptest! {
    #[test]
    fn the_broker_ends_up_with_the_newest_of_every_gateway(steps in prop::collection::vec(step(), 0..80)) {
        let (latest, snapshot, mut outbox) = bench(options());
        let now = Instant::now();
        let mut kept: BTreeMap<String, String> = BTreeMap::new();
        let mut connected = false;
        let mut take = |outbox: &mut Outbox, most: usize| {
            for _ in 0..most {
                match outbox.next(&snapshot.borrow(), now) {
                    Some(Command::Publish(message)) => kept.insert(message.topic, message.payload),
                    Some(Command::Subscribe(_)) => continue,
                    None => return kept.clone(),
                };
            }
            kept.clone()
        };
        for (second, step) in steps.into_iter().enumerate() {
            match step {
                Step::Connect if !connected => {
                    connected = true;
                    outbox.connected();
                }
                Step::Lose if connected => {
                    connected = false;
                    outbox.lost();
                }
                Step::Read(serial) => {
                    latest.put_reading(reading(&serial.to_string(), u32::try_from(second % 60).unwrap()));
                }
                Step::Silence(serial) => latest.put_availability(
                    &Serial::parse(&serial.to_string()).unwrap(),
                    Availability::Offline("no answer".to_owned()),
                ),
                Step::Send(most) => {
                    let before = take(&mut outbox, 0).len();
                    let after = take(&mut outbox, most.into()).len();
                    prop_assert!(connected || after == before, "sent without a connection");
                }
                Step::Connect | Step::Lose => {}
            }
        }
        if !connected {
            outbox.connected();
        }
        let kept = take(&mut outbox, 1000);
        prop_assert_eq!(&kept["e/status"], "online");
        for (serial, known) in snapshot.borrow().gateways() {
            let online = *known.availability.as_ref().unwrap().value == Availability::Online;
            let word = if online { "online" } else { "offline" };
            prop_assert_eq!(&kept[&format!("e/{serial}/availability")], word);
            if let Some(reading) = known.fresh_reading() {
                let document = topics::document("e", &reading.value, None);
                prop_assert_eq!(&kept[&document.topic], &document.payload);
            }
        }
    }
}

/// An event of a random history in which devices come and go.
#[derive(Clone, Debug)]
enum Turn {
    Connect,
    Lose,
    Birth,
    Denied,
    Twin(u8),
    /// A reading of a gateway, with the first and the last of its inverters.
    Read(u8, u32, u32),
    Send(u8),
    Pass(u16),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        1 => Just(Turn::Connect),
        1 => Just(Turn::Lose),
        2 => Just(Turn::Birth),
        1 => Just(Turn::Denied),
        1 => any::<u8>().prop_map(Turn::Twin),
        4 => (1..4_u8, 0..60_u32, 0..60_u32).prop_map(|(gateway, first, last)| Turn::Read(gateway, first, last)),
        4 => any::<u8>().prop_map(Turn::Send),
        4 => (0..2000_u16).prop_map(Turn::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn after_any_history_everything_is_announced_soon_and_nothing_accumulates(turns in prop::collection::vec(turn(), 0..50)) {
        let options = Options { topics: true, ..discovery() };
        let settings = options.homeassistant.clone().unwrap();
        let (latest, snapshot, mut outbox) = bench(options);
        let mut now = Instant::now();
        let mut kept: BTreeMap<String, String> = BTreeMap::new();
        let (mut connected, mut announced, start) = (false, 0, now);
        let mut take = |order| {
            let Command::Publish(message) = order else { return 0 };
            let announcement = message.topic.starts_with("homeassistant/");
            kept.insert(message.topic, message.payload);
            usize::from(announcement)
        };
        for turn in turns {
            match turn {
                Turn::Connect if !connected => {
                    connected = true;
                    outbox.connected();
                }
                Turn::Lose if connected => {
                    connected = false;
                    outbox.lost();
                }
                Turn::Connect | Turn::Lose => {}
                Turn::Birth => drop(outbox.incoming("homeassistant/status", b"online", false)),
                Turn::Denied => drop(outbox.incoming("e/status", b"offline", false)),
                Turn::Twin(n) => drop(outbox.incoming("e/instance", &[b'a' + n % 26], false)),
                Turn::Read(gateway, first, last) => {
                    let mut reading = test_readings::full();
                    reading.gateway.serial = Serial::parse(&gateway.to_string()).unwrap();
                    reading.inverters = roof(60).into_iter().skip(first as usize).take(last as usize).collect();
                    // No device belongs to two gateways.
                    let own = |serial: &Serial| Serial::parse(&format!("{gateway}{}", &serial.as_str()[1..])).unwrap();
                    reading.inverters.iter_mut().for_each(|it| it.serial = own(&it.serial));
                    reading.batteries.iter_mut().for_each(|it| it.serial = own(&it.serial));
                    latest.put_reading(reading);
                }
                Turn::Send(most) => for _ in 0..most {
                    let Some(order) = outbox.next(&snapshot.borrow(), now) else { break };
                    announced += take(order);
                },
                Turn::Pass(milliseconds) => now += Duration::from_millis(milliseconds.into()),
            }
            // The values of one gateway, and the first messages of a connection.
            prop_assert!(outbox.begun.len() < 800);
            let allowed = 100 + usize::try_from((now - start).as_millis() / 100).unwrap();
            prop_assert!(announced <= allowed, "{announced} announcements");
        }
        if !connected {
            outbox.connected();
        }
        let mut rest = 0;
        for (_, message) in drained(&mut outbox, &snapshot, now) {
            rest += take(Command::Publish(message));
        }
        // Each at most once for what was pending, and once more for a birth that still waited.
        prop_assert!(rest <= 2 * 3 * (60 * 10 + 150), "{rest} announcements");
        prop_assert_eq!(&kept["e/status"], "online");
        for (_, known) in snapshot.borrow().gateways() {
            let Some(reading) = &known.reading else { continue };
            for wanted in crate::output::homeassistant::discovery(&reading.value, &settings) {
                prop_assert_eq!(kept.get(&wanted.topic), Some(&wanted.payload));
            }
        }
    }
}
