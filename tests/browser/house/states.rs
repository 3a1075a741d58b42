//! The states of a house that its page has to show.

use std::time::Duration;

use enphased::simulator::{Condition, Fault, Simulation, responses};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Two mornings, the noon when the browser comes, and how long it is from the first morning until then.
const DAY_BEFORE: &str = "2026-06-27T03:00:00Z";
const SAME_DAY: &str = "2026-06-28T03:00:00Z";
/// The morning three days before that noon, and the absences of a gateway since: for more than two days, and for two hours of
/// the last morning.
const DAYS_BEFORE: &str = "2026-06-25T03:00:00Z";
const ABSENCES: [(Duration, Duration); 2] = [
    (Duration::from_secs(8 * 3600), Duration::from_secs(55 * 3600)),
    (Duration::from_secs(75 * 3600), Duration::from_secs(2 * 3600)),
];
const NOON: &str = "2026-06-28T13:00:00Z";
const UNTIL_NOON: Duration = Duration::from_secs(34 * 3600 + 240);

const METERED: &str = "8.3.5289_metered";
const BATTERY: &str = "8.3.5289_battery";
const NON_METERED: &str = "8.3.5289_non_metered";

/// One gateway: its fixture, the number of inverters, how many of them are silent, and the enabled meters if others than
/// those of the fixture.
pub(crate) type GatewayState = (&'static str, usize, usize, Option<&'static [&'static str]>);

/// A state of a house.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) name: &'static str,
    pub(crate) gateways: Vec<GatewayState>,
    /// The time at which the house begins.
    pub(crate) start: &'static str,
    /// How much faster than real time the clock runs.
    pub(crate) speed: u32,
    /// `true` if there is a year of history before the start.
    pub(crate) has_year: bool,
    /// Lines at the end of the configuration, which are in the table `[server]`.
    pub(crate) lines: &'static str,
    /// How long a daemon runs before, in virtual time, without a listener.
    pub(crate) before: Duration,
    /// When the second gateway was away meanwhile: begin and length.
    pub(crate) absences: &'static [(Duration, Duration)],
    /// The conditions before the first reading, if any.
    pub(crate) from_start: Option<fn(&Simulation)>,
    /// The conditions after the first reading, if any, and how long they last until the browser comes.
    pub(crate) later: Option<fn(&Simulation)>,
    pub(crate) lasting: Duration,
}

impl State {
    /// Creates a house at noon with everything that can be measured and a year of history.
    fn new(name: &'static str) -> Self {
        Self {
            name,
            gateways: vec![(BATTERY, 50, 1, None)],
            start: DAY_BEFORE,
            speed: 1,
            has_year: true,
            lines: "",
            before: UNTIL_NOON,
            absences: &[],
            from_start: None,
            later: None,
            lasting: Duration::ZERO,
        }
    }

    /// Creates a house with everything and a condition that has lasted for a while.
    fn troubled(name: &'static str, later: fn(&Simulation), lasting: Duration) -> Self {
        Self { gateways: vec![(BATTERY, 14, 0, None)], later: Some(later), lasting, ..Self::new(name) }
    }

    /// Begins a day later: what depends on the day before is not there.
    fn of_today(self) -> Self {
        Self { start: SAME_DAY, before: self.before.saturating_sub(24 * HOUR), ..self }
    }

    /// Creates a house at noon with this gateway, whose history begins in the morning.
    fn small(name: &'static str, gateway: GatewayState) -> Self {
        Self { gateways: vec![gateway], has_year: false, ..Self::new(name).of_today() }
    }

    /// Creates a house with one gateway at the first start of its daemon.
    fn first(name: &'static str, from_start: fn(&Simulation), lasting: Duration) -> Self {
        let before = Duration::ZERO;
        Self {
            start: NOON,
            before,
            from_start: Some(from_start),
            lasting,
            ..Self::small(name, (BATTERY, 14, 0, None))
        }
    }

    /// Returns all states, in the order in which they are shown.
    pub(crate) fn all() -> Vec<Self> {
        let away: fn(&Simulation) = |house| each(house, &Condition::Refusing);
        vec![
            Self::new("day"),
            // An hour passes in a minute, as in `enphased demo`.
            Self { start: NOON, speed: 60, before: Duration::ZERO, ..Self::new("live") },
            Self { before: Duration::from_secs(43 * 3600 + 1800), ..Self::new("night") },
            Self::first("first-minute", |house| each(house, &Condition::Silent), Duration::from_secs(20)),
            Self::first("first-login-held-back", too_many_sessions, 10 * MINUTE),
            Self::troubled("away", away, 10 * MINUTE).of_today(),
            Self::troubled("two-hours-old", away, 2 * HOUR + 5 * MINUTE).of_today(),
            Self::troubled("token-refused", |house| each(house, &Condition::TokensRefused), HOUR),
            Self::troubled("login-held-back", revoked_and_too_many_sessions, HOUR),
            Self {
                start: DAY_BEFORE,
                before: UNTIL_NOON,
                ..Self::small("many-inverters", (METERED, 240, 3, None))
            },
            Self::small("one-inverter", (METERED, 1, 0, None)),
            Self { has_year: true, ..Self::small("three-phases", (METERED, 12, 0, None)) },
            Self::small("battery-only", (BATTERY, 0, 0, Some(&["net-consumption", "storage"]))),
            Self {
                gateways: vec![(METERED, 12, 0, None), (BATTERY, 14, 0, None), (NON_METERED, 10, 0, None)],
                ..Self::new("several-gateways").of_today()
            },
            Self {
                gateways: vec![(METERED, 12, 0, None), (BATTERY, 14, 0, None)],
                start: DAYS_BEFORE,
                before: UNTIL_NOON + 48 * HOUR,
                absences: &ABSENCES,
                ..Self::new("sum-with-gaps")
            },
            Self::small("production-only", (NON_METERED, 10, 0, None)),
            Self {
                lines: "[history]\nenabled = false\n",
                ..Self::small("no-history", (BATTERY, 14, 0, None))
            },
            // Nobody may read, except through a proxy at this address.
            Self {
                lines: "open_to = []\ningress = \"127.0.0.2\"\n",
                has_year: true,
                ..Self::small("no-access", (BATTERY, 14, 0, None))
            },
        ]
    }
}

fn each(house: &Simulation, condition: &Condition) {
    for gateway in &house.gateways {
        gateway.set_condition(condition.clone());
    }
}

fn too_many_sessions(house: &Simulation) {
    let fault: Fault = responses::too_many_sessions(200);
    house.cloud.fail(fault);
}

fn revoked_and_too_many_sessions(house: &Simulation) {
    for gateway in &house.gateways {
        gateway.revoke_tokens();
    }
    too_many_sessions(house);
}
