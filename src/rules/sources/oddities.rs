//! The table of firmware oddities: the symptom of each, and the remedy in this program.
//!
//! Sources: the recordings of pyenphase (PY, with its issue numbers), `envoy_reader` and rust-enphase, measured for this
//! program; Home Assistant's issues (HA).

use crate::io::gateway::firmware::Firmware;

const FIRST: Firmware = Firmware::new(0, 0, 0);
const OPEN: Firmware = Firmware::new(u32::MAX, u32::MAX, u32::MAX);

/// A known firmware oddity. Some are detected by their symptom alone, on any firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oddity {
    /// Rows of inactive devices have values.
    InactiveRows,
    /// Disabled meters show noise.
    DisabledMeters,
    /// Readings of unlisted meters appear.
    UnknownMeters,
    /// Channels without a transformer show noise.
    UnusedChannels,
    /// All totals are zero.
    ZeroTotals,
    /// Totals are not updated if there is no production meter.
    StalledTotals,
    /// The inverters' total of `production.json` wraps.
    WrappedTotal,
    /// Total consumption contains the net.
    TotalIsNet,
    /// The production meter is missing now and then.
    FlickeringMeter,
    /// The storage meter shows half the power.
    HalfStorage,
    /// A key is misspelt.
    MisspeltDevices,
    /// The system controller reports Fahrenheit.
    Fahrenheit,
    /// The device list is truncated.
    CutDeviceData,
    /// Removed inverters are still listed.
    RemovedInverters,
    /// A page does not respond when the gateway restarts at night.
    HangingDeviceData,
    /// Live values are not updated.
    FrozenLiveData,
    /// An error or an HTML page has status 200.
    FalseSuccess,
    /// A generator is reported that does not exist.
    GhostGenerator,
    /// The house seems to feed the grid.
    NegativeHouse,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The oddity.
    pub oddity: Oddity,
    /// The first firmware with the oddity.
    pub since: Firmware,
    /// The first firmware without the oddity.
    pub until: Firmware,
    /// The symptom.
    pub symptom: &'static str,
    /// The remedy in this program.
    pub remedy: &'static str,
    /// The source of the observation.
    pub source: &'static str,
}

impl Oddity {
    /// Returns the row of the oddity.
    pub fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.oddity == self)
    }

    /// Returns `true` if `firmware` has the oddity.
    pub fn affects(self, firmware: Firmware) -> bool {
        self.row().is_some_and(|row| row.since <= firmware && firmware < row.until)
    }
}

macro_rules! rows {
    ($($oddity:ident $since:expr => $until:expr, $symptom:literal, $remedy:literal, $source:literal;)*) => {
        /// All known oddities.
        pub const TABLE: &[Row] = &[$(Row {
            oddity: Oddity::$oddity,
            since: $since,
            until: $until,
            symptom: $symptom,
            remedy: $remedy,
            source: $source,
        }),*];
    };
}

rows! {
    InactiveRows FIRST => OPEN,
        "production.json: activeCount 0, yet values (noise at 7.6.175, leftovers at 7.3.466)",
        "the row is ignored", "PY recordings";
    DisabledMeters FIRST => OPEN,
        "/ivp/meters: state is not enabled, yet /ivp/meters/readings has values",
        "only enabled meters are joined", "PY recordings 7.3.466, 8.3.5433";
    UnknownMeters Firmware::new(8, 3, 0) => OPEN,
        "/ivp/meters/readings: a meter that /ivp/meters does not list (1023410688)",
        "readings are joined by meter, the others are ignored", "PY recordings 8.3.5169, 8.3.5433";
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
        "once the meter was seen, the different total of the inverters never replaces its total", "PY #471, #480";
    HalfStorage Firmware::new(8, 3, 6000) => OPEN,
        "split phase: one channel of the storage meter is 0 and the total equals the other channel",
        "the batteries' own powers are summed instead", "reports of users";
    MisspeltDevices FIRST => OPEN,
        "/ivp/ensemble/power: the key is `devices:`",
        "both spellings are read", "PY recordings";
    Fahrenheit FIRST => OPEN,
        "/ivp/ensemble/inventory: temperatures of the system controller in °F, of batteries in °C",
        "converted to °C", "PY recordings";
    CutDeviceData Firmware::new(8, 2, 4000) => OPEN,
        "/ivp/pdm/device_data: deviceCount reaches deviceDataLimit (50)",
        "/api/v1/production/inverters is read instead", "PY, updater device_data_inverters";
    RemovedInverters Firmware::new(8, 2, 4000) => OPEN,
        "/ivp/pdm/device_data: inverters with active false or modGone and no last reading",
        "they are ignored", "PY recording 8.3.5289_modGone, 8.3.5433";
    HangingDeviceData Firmware::new(8, 2, 4000) => OPEN,
        "/ivp/pdm/device_data: no response for up to 85 s around 23:00",
        "the page is not requested for 15 minutes, the other page is read instead", "HA #156189";
    FrozenLiveData FIRST => OPEN,
        "/ivp/livedata/status: last_update is old and the stream is not enabled",
        "values older than two minutes by the gateway's clock are dropped", "HB #85";
    FalseSuccess FIRST => Firmware::new(7, 0, 0),
        "status 200 with HTML, `Error: 401` or an object that describes an error",
        "the page counts as missing", "PY recordings 3.x, 3.8.10";
    GhostGenerator FIRST => OPEN,
        "/ivp/ensemble/generator: present 1 with type 0, or type 1 with present 0",
        "a generator needs both", "PY recordings 8.2.127, 8.2.4345";
    NegativeHouse FIRST => OPEN,
        "the sum of production, grid and storage is negative: the storage transformer counts double (8.2.127, split)",
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
            assert!(!row.symptom.is_empty() && !row.remedy.is_empty() && !row.source.is_empty());
        }
    }

    #[test]
    fn ranges_are_closed_below_and_open_above() {
        assert!(!Oddity::StalledTotals.affects(Firmware::new(8, 2, 4263)));
        assert!(Oddity::StalledTotals.affects(Firmware::new(8, 2, 4264)));
        assert!(Oddity::WrappedTotal.affects(Firmware::new(7, 6, 175)));
        assert!(!Oddity::WrappedTotal.affects(Firmware::new(8, 2, 4264)));
    }
}
