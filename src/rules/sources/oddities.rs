//! The oddities of the firmware, one table. What the code does about each stands beside its sign.
//!
//! Sources: the recordings of pyenphase (PY, with its issue numbers), of `envoy_reader` and rust-enphase, measured for this
//! program; Home Assistant's issues (HA).

use crate::io::gateway::firmware::Firmware;

const FIRST: Firmware = Firmware::new(0, 0, 0);
const OPEN: Firmware = Firmware::new(u32::MAX, u32::MAX, u32::MAX);

/// An oddity that the code decides by. Oddities that are known by their sign alone, on any firmware, are rows of
/// the table too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oddity {
    /// Values without a device behind them.
    InactiveRows,
    /// Meters that are switched off show noise.
    DisabledMeters,
    /// Readings of meters that nobody listed.
    UnknownMeters,
    /// Channels without a transformer show noise.
    UnusedChannels,
    /// Totals that are all zero.
    ZeroTotals,
    /// Totals that stand still where there is no production meter.
    StalledTotals,
    /// The inverters' total of `production.json` wraps.
    WrappedTotal,
    /// Total consumption shows the net.
    TotalIsNet,
    /// The production meter seems gone now and then.
    FlickeringMeter,
    /// The storage meter shows half.
    HalfStorage,
    /// A misspelt key.
    MisspeltDevices,
    /// The system controller in Fahrenheit.
    Fahrenheit,
    /// The device list is cut.
    CutDeviceData,
    /// Removed inverters are still listed.
    RemovedInverters,
    /// A page hangs when the gateway restarts at night.
    HangingDeviceData,
    /// Live values stand still.
    FrozenLiveData,
    /// An error or a page for people with status 200.
    FalseSuccess,
    /// A generator that is not there.
    GhostGenerator,
    /// A house that seems to feed the grid.
    NegativeHouse,
}

/// One oddity: where it occurs, how it shows, what is done.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which.
    pub oddity: Oddity,
    /// The first firmware that has it.
    pub since: Firmware,
    /// The first firmware that no longer has it.
    pub until: Firmware,
    /// How it shows.
    pub sign: &'static str,
    /// What is done about it.
    pub remedy: &'static str,
    /// Who saw it.
    pub source: &'static str,
}

impl Oddity {
    /// Its row.
    pub fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.oddity == self)
    }

    /// Whether `firmware` has it.
    pub fn holds(self, firmware: Firmware) -> bool {
        self.row().is_some_and(|row| row.since <= firmware && firmware < row.until)
    }
}

macro_rules! rows {
    ($($oddity:ident $since:expr => $until:expr, $sign:literal, $remedy:literal, $source:literal;)*) => {
        /// Every oddity known.
        pub const TABLE: &[Row] = &[$(Row {
            oddity: Oddity::$oddity, since: $since, until: $until, sign: $sign, remedy: $remedy, source: $source,
        }),*];
    };
}

rows! {
    InactiveRows FIRST => OPEN,
        "production.json: activeCount 0, yet values (noise at 7.6.175, leftovers at 7.3.466)",
        "the row is passed over", "PY recordings";
    DisabledMeters FIRST => OPEN,
        "/ivp/meters: state is not enabled, yet /ivp/meters/readings has values",
        "only enabled meters are joined", "PY recordings 7.3.466, 8.3.5433";
    UnknownMeters Firmware::new(8, 3, 0) => OPEN,
        "/ivp/meters/readings: a meter that /ivp/meters does not list (1023410688)",
        "readings are joined by meter, the rest is passed over", "PY recordings 8.3.5169, 8.3.5433";
    UnusedChannels FIRST => OPEN,
        "/ivp/meters/readings: three channels where phaseCount is 1 or 2; the others show up to 69 kWh",
        "channels beyond phaseCount are dropped", "PY recordings";
    ZeroTotals FIRST => OPEN,
        "/api/v1/production: all energies 0 (meters off before 8.2; no meter from 8.3.5422; minutes after a boot on 3.x)",
        "the sum of the inverters is read from a slower page", "PY #482";
    StalledTotals Firmware::new(8, 2, 4264) => OPEN,
        "/api/v1/production of a metered model without production transformers: 1.6 kWh instead of 32 MWh",
        "the sum of the inverters is read from a slower page", "PY, updater api_v1_production";
    WrappedTotal Firmware::new(7, 3, 130) => Firmware::new(8, 2, 4264),
        "production.json, inverters: whLifetime modulo 2^32 J (1,193,046.47 Wh); the lost multiples stay lost later",
        "/api/v1/production comes first; a drop of that size is unwrapped by the counters", "measured on the PY recordings";
    TotalIsNet Firmware::new(8, 3, 5433) => OPEN,
        "production.json: total-consumption equals net-consumption",
        "total is net plus production", "PY #467, #477";
    FlickeringMeter Firmware::new(8, 3, 5528) => OPEN,
        "production.json: the production meter has activeCount 0 and junk now and then",
        "once seen, the meter is waited for; the inverters' other total never takes its place", "PY #471, #480";
    HalfStorage Firmware::new(8, 3, 6000) => OPEN,
        "split phase: one channel of the storage meter is 0 and the total equals the other channel",
        "the batteries' own powers are summed instead", "reports of users";
    MisspeltDevices FIRST => OPEN,
        "/ivp/ensemble/power: the key is `devices:`",
        "both spellings are read", "PY recordings";
    Fahrenheit FIRST => OPEN,
        "/ivp/ensemble/inventory: temperatures of the system controller in °F, of batteries in °C",
        "turned into °C", "PY recordings";
    CutDeviceData Firmware::new(8, 2, 4000) => OPEN,
        "/ivp/pdm/device_data: deviceCount reaches deviceDataLimit (50)",
        "/api/v1/production/inverters is read instead", "PY, updater device_data_inverters";
    RemovedInverters Firmware::new(8, 2, 4000) => OPEN,
        "/ivp/pdm/device_data: inverters with active false or modGone and no last reading",
        "they are passed over", "PY recording 8.3.5289_modGone, 8.3.5433";
    HangingDeviceData Firmware::new(8, 2, 4000) => OPEN,
        "/ivp/pdm/device_data: no answer for up to 85 s around 23:00",
        "left alone for a quarter of an hour, the other page is read instead", "HA #156189";
    FrozenLiveData FIRST => OPEN,
        "/ivp/livedata/status: last_update is old and the stream is not enabled",
        "values older than two minutes by the gateway's clock are dropped", "HB #85";
    FalseSuccess FIRST => Firmware::new(7, 0, 0),
        "status 200 with HTML, `Error: 401` or an object that tells of an error",
        "the page counts as missing", "PY recordings 3.x, 3.8.10";
    GhostGenerator FIRST => OPEN,
        "/ivp/ensemble/generator: present 1 with type 0, or type 1 with present 0",
        "a generator needs both", "PY recordings 8.2.127, 8.2.4345";
    NegativeHouse FIRST => OPEN,
        "production, grid and storage add up to less than nothing: the storage transformer counts double (8.2.127, split)",
        "the batteries' own powers are added instead, and without those the house's power is left out",
        "measured on the PY recordings";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_oddity_has_one_row_with_a_sound_range() {
        for row in TABLE {
            assert!(row.since < row.until, "{:?}", row.oddity);
            assert_eq!(TABLE.iter().filter(|other| other.oddity == row.oddity).count(), 1);
            assert!(!row.sign.is_empty() && !row.remedy.is_empty() && !row.source.is_empty());
        }
    }

    #[test]
    fn ranges_are_closed_below_and_open_above() {
        assert!(!Oddity::StalledTotals.holds(Firmware::new(8, 2, 4263)));
        assert!(Oddity::StalledTotals.holds(Firmware::new(8, 2, 4264)));
        assert!(Oddity::WrappedTotal.holds(Firmware::new(7, 6, 175)));
        assert!(!Oddity::WrappedTotal.holds(Firmware::new(8, 2, 4264)));
    }
}
