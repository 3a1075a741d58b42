//! The world around the daemons: the true time, clocks that may be wrong or missing, one or two gateways that change
//! their verdicts and serial numbers, a cloud, and a disk that loses files.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::base::clock::Moment;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud::{Failure, Kind, Response, classify};
use crate::io::token::store::Tokens;
use crate::io::token::{Role, Token};
use crate::rules::logins::Record;
use crate::rules::logins::clocks::{Clocks, GatewayTime};
use crate::rules::logins::newcomer::Place;
use crate::rules::logins::verdict::Verdict;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// The clock that may show any time in a history. The other is correct to five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrongClock {
    Neither,
    Machine,
    Gateway,
    /// Beyond what the design can promise: there is no correct clock.
    Both,
}

/// The number of serial numbers: two gateways, the replacement of one, and some invented ones.
pub(super) const SERIALS: usize = 6;
/// The serial number of the gateway that replaces the first.
pub(super) const REPLACEMENT: usize = 2;

/// The state directory, which survives processes and boots.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) record: Option<Rc<Record>>,
    /// A damaged record was set aside.
    pub(super) aside: bool,
    pub(super) is_damaged: bool,
    /// The tokens of each serial number; `None` if there is no file.
    pub(super) tokens: [Option<Rc<Tokens>>; SERIALS],
    /// An old backup of those files.
    pub(super) backup: [Option<Rc<Tokens>>; SERIALS],
    /// The operator ran `token forget`.
    pub(super) is_forgotten: [bool; SERIALS],
    /// The place in which each serial number was seen last, as stored with its key.
    pub(super) seen_at: [Option<usize>; SERIALS],
    pub(super) is_writable: bool,
    writes: u32,
}

/// The behavior of a gateway toward tokens for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Returns the correct verdict.
    Judges,
    /// Returns a clean 401 for every token, as in the first seconds after a boot.
    Refuses,
    /// Returns 404, 500 or a redirect: no verdict on the token.
    SaysNothing,
}

impl Disk {
    /// Writes the record as the program does: atomically, as JSON that decodes to the same record.
    pub(super) fn write(&mut self, record: &Record) -> bool {
        if self.is_writable {
            self.writes += 1;
            // JSON is slow, so only a sample of the writes is checked.
            if self.writes % 16 == 1 {
                let json = serde_json::to_vec(record).unwrap();
                let read: Record = serde_json::from_slice(&json).unwrap();
                assert_eq!(read, *record, "the file decodes to the same record");
            }
            self.record = Some(Rc::new(record.clone()));
        }
        self.is_writable
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) wrong_clock: WrongClock,
    /// The true time.
    pub(super) now: Timestamp,
    machine_is_off_by: SignedDuration,
    /// The number of gateways of the account.
    pub(super) gateways: usize,
    gateway_is_off_by: [SignedDuration; 2],
    boot: u32,
    booted: Timestamp,
    pub(super) gateway_answers: [bool; 2],
    /// `/info` returns the time.
    pub(super) has_time: [bool; 2],
    pub(super) mood: [Mood; 2],
    /// The data pages fail although the gateway accepts the token.
    pub(super) pages_fail: [bool; 2],
    /// The serial number that each gateway reports.
    pub(super) named: [usize; 2],
    /// The only gateway is found by mDNS, not by an address.
    pub(super) by_mdns: bool,
    /// The gateway refuses tokens issued before this time.
    revoked_until: [Timestamp; 2],
    /// The index of the cloud's response in [`ANSWERS`]; beyond the list the cloud works correctly.
    cloud_mood: usize,
    /// The correct credentials.
    pub(super) right: u8,
    pub(super) lifetime: Duration,
    pub(super) disk: Disk,
}

/// Every row of L6 as docs/protocol.md lists it (sections 1.5, 1.6, 1.8): status, `Retry-After`, body.
const ANSWERS: [(u16, Option<&str>, &str); 21] = [
    (200, None, r#"{"message":"Too many active sessions.."}"#),
    (401, Some("200000"), "<html><p>Too many active sessions..</p></html>"),
    (200, None, r#"{"success":false,"isBlocked":true}"#),
    (200, None, "<!DOCTYPE html><html><form></form></html>"),
    (429, Some("864000"), "Retry later"),
    (429, Some("99999999999"), ""),
    (429, None, "{}"),
    (401, None, r#"{"message":"Invalid"}"#),
    (200, None, r#"{"success":true,"isBlocked":false}"#),
    (200, None, r#"{"requires_mfa":true}"#),
    (503, Some("7200"), "<html>We'll be back soon</html>"),
    (500, None, ""),
    (200, None, ""),
    (406, None, "<html>Not Acceptable</html>"),
    (401, None, r#"{"message":"You need to sign in first"}"#),
    (403, None, "Forbidden"),
    (200, None, "Error: could not generate a token"),
    (404, None, "<html>Not found</html>"),
    (410, None, ""),
    (400, None, r#"{"errors":[]}"#),
    (200, None, r#"{"welcome":"back"}"#),
];

impl World {
    pub(super) fn new(mut rng: Rng, wrong_clock: WrongClock) -> Self {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let mut small = || SignedDuration::from_secs(rng.i64(-290..290));
        let (machine_is_off_by, gateway_is_off_by) = (small(), [small(), small()]);
        let gateways = rng.usize(1..3);
        let lifetime = [365 * DAY, 365 * DAY, 12 * HOUR, HOUR, 45 * DAY][rng.usize(..5)];
        let disk = Disk {
            record: None,
            aside: false,
            is_damaged: false,
            tokens: Default::default(),
            backup: Default::default(),
            is_forgotten: Default::default(),
            seen_at: Default::default(),
            is_writable: true,
            writes: 0,
        };
        let by_mdns = gateways == 1 && rng.bool();
        Self {
            rng,
            wrong_clock,
            now,
            machine_is_off_by,
            gateways,
            gateway_is_off_by,
            boot: 0,
            booted: now,
            gateway_answers: [true; 2],
            has_time: [true; 2],
            mood: [Mood::Judges; 2],
            pages_fail: [false; 2],
            named: [0, 1],
            by_mdns,
            revoked_until: [Timestamp::UNIX_EPOCH; 2],
            cloud_mood: ANSWERS.len(),
            right: 0,
            lifetime,
            disk,
        }
    }

    pub(super) fn serial(number: usize) -> Serial {
        let names = ["122300000001", "122300000002", "122300000003", "1", "AAAAAAAAAAAAAAAA", "122300000009"];
        Serial::parse(names[number]).unwrap()
    }

    /// Returns the configured gateways: by address, or found by mDNS.
    pub(super) fn places(&self) -> Vec<Place> {
        let address = |place: usize| (!self.by_mdns).then(|| Self::address(place));
        (0..self.gateways).map(|place| Place { serial: None, address: address(place) }).collect()
    }

    pub(super) fn address(place: usize) -> String {
        ["192.168.1.20", "192.168.1.21"][place].to_owned()
    }

    /// Returns `true` if the gateway belongs to the account, so that the cloud issues tokens for it.
    fn owns(number: usize) -> bool {
        number <= REPLACEMENT
    }

    fn gateway_time(&self, gateway: usize) -> Timestamp {
        // The gateway returns whole seconds.
        Timestamp::from_second((self.now + self.gateway_is_off_by[gateway]).as_second()).unwrap()
    }

    /// Returns the difference between the clocks of the two gateways.
    pub(super) fn gateways_differ_by(&self) -> Duration {
        let [one, other] = self.gateway_is_off_by;
        if self.gateways == 1 { Duration::ZERO } else { Duration::try_from((one - other).abs()).unwrap() }
    }

    /// Returns the clocks as a daemon sees them; `asked` is the gateway that it requests the time from.
    pub(super) fn clocks(&self, asked: Option<usize>) -> Clocks {
        let up = Duration::try_from(self.now.duration_since(self.booted)).unwrap();
        let moment = Moment { wall: self.now + self.machine_is_off_by, boot: self.boot.to_string(), up };
        let answers = asked.filter(|gateway| self.gateway_answers[*gateway]);
        let response = |gateway: usize| {
            if self.has_time[gateway] {
                GatewayTime::Time(self.gateway_time(gateway))
            } else {
                GatewayTime::NoTime
            }
        };
        Clocks::new(moment, answers.map_or(GatewayTime::NoResponse, response))
    }

    pub(super) fn pass(&mut self, length: Duration) {
        self.now += length;
    }

    /// Sets the wrong clock of this history off by minutes, days or years, or corrects it.
    pub(super) fn set_clock(&mut self) {
        let length = [11 * MINUTE, 26 * HOUR, 40 * DAY, 400 * DAY, 7000 * DAY][self.rng.usize(..5)];
        let length = SignedDuration::try_from(length).unwrap();
        let off_by = [length, -length, SignedDuration::ZERO][self.rng.usize(..3)];
        let gateway = self.rng.usize(..2);
        match self.wrong_clock {
            WrongClock::Machine => self.machine_is_off_by = off_by,
            WrongClock::Both if self.rng.bool() => self.machine_is_off_by = off_by,
            WrongClock::Gateway | WrongClock::Both => self.gateway_is_off_by[gateway] = off_by,
            WrongClock::Neither => {}
        }
    }

    /// Reboots the machine after a while. A Pi has no clock battery: its clock may stop meanwhile, or be reset.
    pub(super) fn reboot(&mut self) {
        let length = [MINUTE, HOUR, 30 * HOUR, 40 * DAY][self.rng.usize(..4)];
        self.pass(length);
        self.boot += 1;
        self.booted = self.now;
        if matches!(self.wrong_clock, WrongClock::Machine | WrongClock::Both) {
            let off_by = self.machine_is_off_by;
            let stopped = off_by - SignedDuration::try_from(length).unwrap();
            let reset = "2020-01-01T00:00:00Z".parse::<Timestamp>().unwrap().duration_since(self.now);
            self.machine_is_off_by = [stopped, reset, off_by][self.rng.usize(..3)];
        }
    }

    pub(super) fn revoke(&mut self, gateway: usize) {
        self.revoked_until[gateway] = self.now;
    }

    /// Returns `true` if the gateway, working correctly, accepts `token` by its own clock.
    pub(super) fn accepts(&self, gateway: usize, token: &Token) -> bool {
        let is_its_own = token.serial == Self::serial(self.named[gateway]);
        is_its_own
            && token.expires_at > self.gateway_time(gateway)
            && token.issued_at > self.revoked_until[gateway]
    }

    /// Returns the gateway's verdict on `token`.
    pub(super) fn verdict(&self, gateway: usize, token: &Token) -> Verdict {
        match self.mood[gateway] {
            Mood::Judges if self.accepts(gateway, token) => Verdict::Accepted,
            Mood::Judges | Mood::Refuses => Verdict::Refused,
            Mood::SaysNothing => Verdict::Unclear,
        }
    }

    /// Changes a gateway's behavior, serial number, clock or pages.
    pub(super) fn change_gateway(&mut self, gateway: usize) {
        match self.rng.u8(..12) {
            0..4 => self.mood[gateway] = [Mood::Refuses, Mood::SaysNothing][self.rng.usize(..2)],
            4..7 => self.mood[gateway] = Mood::Judges,
            7 => self.has_time[gateway] = self.rng.bool(),
            8 => self.pages_fail[gateway] = self.rng.bool(),
            // Another device responds at its address.
            9 => self.named[gateway] = self.rng.usize(REPLACEMENT + 1..SERIALS),
            10 if gateway == 0 && self.rng.u8(..8) == 0 => self.named[gateway] = REPLACEMENT,
            _ => self.named[gateway] = gateway,
        }
    }

    pub(super) fn change_mood(&mut self) {
        self.cloud_mood = self.rng.usize(..2 * ANSWERS.len());
    }

    fn answer(&self) -> Option<Response> {
        let (status, retry_after, body) = ANSWERS.get(self.cloud_mood)?;
        let retry_after = retry_after.map(str::to_owned);
        Some(Response { retry_after, ..Self::response(*status, body) })
    }

    fn response(status: u16, body: &str) -> Response {
        Response { status, body: body.as_bytes().to_vec().into(), ..Response::default() }
    }

    /// Logs in at the cloud.
    pub(super) fn log_in(&mut self, credentials: u8) -> Result<Secret, Failure> {
        self.not_lost()?;
        let right = credentials == self.right;
        let well = || {
            let session = r#"{"message":"success","session_id":"5e55"}"#;
            if right { Self::response(200, session) } else { Self::response(401, r#"{"message":"Invalid"}"#) }
        };
        classify::login(&self.answer().unwrap_or_else(well))
    }

    /// Fails at random: the login may not be sent, or its response may be lost.
    fn not_lost(&mut self) -> Result<(), Failure> {
        match self.rng.u8(..20) {
            0 => Err(Failure::transient("no connection")),
            1 => Err(Failure::new(Kind::Unclear, "no answer in time")),
            _ => Ok(()),
        }
    }

    /// Completes a login with the code of a second factor.
    pub(super) fn enter_code(&mut self) -> Result<Secret, Failure> {
        self.not_lost()?;
        let right = self.rng.bool();
        let well = || {
            let session = r#"{"message":"success","session_id":"5e55"}"#;
            Self::response(200, if right { session } else { r#"{"isValid":false,"isBlocked":false}"# })
        };
        classify::code(&self.answer().unwrap_or_else(well))
    }

    /// Fetches the token of a serial number from the cloud.
    pub(super) fn fetch(&mut self, number: usize) -> Result<Token, Failure> {
        if self.rng.u8(..20) == 0 {
            return Err(Failure::transient("connection reset"));
        }
        if !Self::owns(number) {
            return Err(classify::token(&Self::response(403, "Forbidden")).unwrap_err());
        }
        let token = self.token(number, self.now, self.lifetime);
        let answer = self.answer().unwrap_or_else(|| Self::response(200, token.secret.expose()));
        classify::token(&answer).map(|_| token)
    }

    /// Creates a token like those of Entrez, without a signature.
    pub(super) fn token(&mut self, number: usize, issued_at: Timestamp, lifetime: Duration) -> Token {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
        let issued_at = Timestamp::from_second(issued_at.as_second()).unwrap();
        let claims = format!(
            r#"{{"aud":"{}","iss":"Entrez","enphaseUser":"owner","exp":{},"iat":{},"jti":"{}"}}"#,
            Self::serial(number),
            (issued_at + lifetime).as_second(),
            issued_at.as_second(),
            self.rng.u64(..),
        );
        let parts = [r#"{"alg":"ES256"}"#, &claims, "signature"].map(|part| BASE64.encode(part));
        let token = Token::decode(&parts.join(".")).unwrap();
        assert_eq!(token.role, Role::Owner);
        token
    }
}
