//! What the page shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::printable::one_line;
use crate::base::reading::{Reading, Serial};
use crate::io::history::rows::CountedOn;
use crate::output::alerts::CurrentProblem;
use crate::rules::history::periods::Period;

/// The maximum number of characters of a text from outside.
const LONGEST: usize = 500;

/// All that the page shows, except the history and who reads it.
#[derive(Clone, Debug)]
pub struct House {
    /// The current time.
    pub now: Timestamp,
    /// The time zone of all times on the page.
    pub zone: TimeZone,
    /// The gateways that are known.
    pub sites: Vec<Site>,
    /// The problems of configured gateways that are not known yet.
    pub unknown: Vec<String>,
    /// What the configured gateways are doing, in words.
    pub summary: String,
    /// The last contact with the Enphase cloud; `None` before the record of logins was read.
    pub cloud: Option<Cloud>,
    /// The problems that last, as they are announced.
    pub announced: Vec<CurrentProblem>,
    /// The problem with the broker.
    pub broker: Option<String>,
}

/// A gateway and the part of the house that it measures.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its serial number.
    pub serial: Serial,
    /// A short name that distinguishes it from the others.
    pub name: String,
    /// The newest reading.
    pub reading: Option<Arc<Reading>>,
    /// The reading is that of now: the gateway responds.
    pub is_fresh: bool,
    /// The reason that it does not respond.
    pub trouble: Option<String>,
    /// The state of its token; `None` if it needs none, or none is known yet.
    pub token: Option<Token>,
    /// The energies of today that the history knows.
    pub today: Today,
}

/// The energies of today, from the history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Today {
    /// The whole site.
    pub site: Option<Period>,
    /// The counter of each inverter.
    pub inverters: BTreeMap<Box<str>, CountedOn>,
}

/// The state of a gateway's token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The state as a stable word, e.g. `valid`, `expired`, `missing`.
    pub state: &'static str,
    /// The role, `owner` or `installer`.
    pub role: Option<String>,
    /// The time at which the token expires.
    pub expires_at: Option<Timestamp>,
    /// The time of the next login, if one is planned.
    pub next_login_at: Option<Timestamp>,
    /// The state as a sentence for people.
    pub message: String,
    /// The reason that another token is needed, and when it comes; `None` if none is needed.
    pub waiting: Option<String>,
}

/// The last contact with the Enphase cloud.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The time of the last request.
    pub contacted_at: Option<Timestamp>,
    /// The reason for the request.
    pub reason: Option<String>,
    /// The outcome of the request: `succeeded`, or what happened.
    pub outcome: Option<String>,
    /// The time before which the cloud is not contacted, and the reason.
    pub held_off: Option<(Timestamp, String)>,
    /// The number of logins within the last 30 days.
    pub logins_in_30_days: usize,
}

impl House {
    /// Returns the gateways that have been read.
    pub(super) fn read(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(|site| site.reading.is_some())
    }

    /// Returns the beginning of today.
    pub(super) fn midnight(&self) -> Timestamp {
        let midnight = self.now.to_zoned(self.zone.clone()).start_of_day();
        midnight.map_or(self.now, |midnight| midnight.timestamp())
    }

    /// Returns whether there are several gateways to tell apart.
    pub(super) fn is_several(&self) -> bool {
        self.read().count() > 1
    }
}

impl Site {
    /// Returns the name in the configuration.
    pub fn configured_name(&self) -> Option<&str> {
        self.reading.as_ref()?.gateway.name.as_deref()
    }

    /// Returns the name with all that is known: the one in the configuration, otherwise the serial number.
    pub fn long_name(&self) -> String {
        self.configured_name().map_or_else(|| format!("Gateway {}", self.serial), words)
    }

    /// Returns the reading, unless the gateway has stopped responding since.
    pub fn fresh(&self) -> Option<&Reading> {
        self.reading.as_deref().filter(|_| self.is_fresh)
    }
}

/// Returns a text from outside on one line, without characters that cannot be printed.
pub(super) fn words(text: &str) -> String {
    one_line(text, LONGEST).into_owned()
}

/// A program or a person that reads.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Reader {
    pub name: String,
    pub program: String,
    pub address: String,
    pub last_seen: Timestamp,
    /// It gets live values now.
    pub is_live: bool,
    /// It has asked within the last half hour.
    pub is_active: bool,
    /// The reader of this page.
    pub is_you: bool,
}
