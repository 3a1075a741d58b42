//! The world around the daemons: the true time, clocks that may lie or are not told, one gateway or two of one account
//! that change their mind and their names, a cloud and a disk that loses files.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::base::clock::Moment;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud::answer::{self, Answer, Failure, Kind};
use crate::io::token::store::Tokens;
use crate::io::token::{Role, Token};
use crate::rules::logins::Record;
use crate::rules::logins::age::{Heard, Sight};
use crate::rules::logins::newcomer::Place;
use crate::rules::logins::verdict::Verdict;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Which clock may show anything in a history. The other is right to five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liar {
    Nobody,
    Machine,
    Gateway,
    /// Beyond what the design can promise: there is no honest clock to ask.
    Both,
}

/// How many serial numbers there are: those of the two gateways, one that a gateway is replaced by, and some that
/// somebody makes up.
pub(super) const SERIALS: usize = 6;
/// The serial number of the gateway that comes in place of the first.
pub(super) const REPLACEMENT: usize = 2;

/// The files, which outlive processes and boots.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) record: Option<Rc<Record>>,
    /// A damaged record was set aside.
    pub(super) aside: bool,
    pub(super) is_damaged: bool,
    /// Of each serial number; `None` where there is no file.
    pub(super) tokens: [Option<Rc<Tokens>>; SERIALS],
    /// An old backup of those files.
    pub(super) backup: [Option<Rc<Tokens>>; SERIALS],
    /// A person had the tokens forgotten.
    pub(super) is_forgotten: [bool; SERIALS],
    /// At which of the two places each serial number was seen last, as its key is remembered.
    pub(super) seen_at: [Option<usize>; SERIALS],
    pub(super) is_writable: bool,
    writes: u32,
}

/// What a gateway says of tokens for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// What is right.
    Judges,
    /// A clean 401 to every token, as in the first seconds after a boot.
    Refuses,
    /// 404, 500, a redirect: nothing about the token.
    SaysNothing,
}

impl Disk {
    /// Writes the record as the program does: whole or not at all, as JSON that tells the same.
    pub(super) fn write(&mut self, record: &Record) -> bool {
        if self.is_writable {
            self.writes += 1;
            // JSON is slow: by samples.
            if self.writes % 16 == 1 {
                let json = serde_json::to_vec(record).unwrap();
                let read: Record = serde_json::from_slice(&json).unwrap();
                assert_eq!(read, *record, "the file tells the same");
            }
            self.record = Some(Rc::new(record.clone()));
        }
        self.is_writable
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) liar: Liar,
    /// The truth.
    pub(super) now: Timestamp,
    machine_is_off_by: SignedDuration,
    /// How many gateways the account has.
    pub(super) gateways: usize,
    gateway_is_off_by: [SignedDuration; 2],
    boot: u32,
    booted: Timestamp,
    pub(super) gateway_answers: [bool; 2],
    /// Whether `/info` tells the time.
    pub(super) tells_time: [bool; 2],
    pub(super) mood: [Mood; 2],
    /// A login that succeeds brings no reading: only the token is judged.
    pub(super) pages_fail: [bool; 2],
    /// The serial number that each gateway names.
    pub(super) named: [usize; 2],
    /// The one gateway is found by mDNS, not by an address.
    pub(super) by_mdns: bool,
    /// Each gateway refuses tokens that were made up to then.
    revoked_until: [Timestamp; 2],
    /// Which of the answers the cloud gives; beyond the list it does what it should.
    cloud_mood: usize,
    /// The credentials that are right.
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
    pub(super) fn new(mut rng: Rng, liar: Liar) -> Self {
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
            liar,
            now,
            machine_is_off_by,
            gateways,
            gateway_is_off_by,
            boot: 0,
            booted: now,
            gateway_answers: [true; 2],
            tells_time: [true; 2],
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

    /// The gateways as they are configured: by address, or not at all.
    pub(super) fn places(&self) -> Vec<Place> {
        let address = |place: usize| (!self.by_mdns).then(|| Self::address(place));
        (0..self.gateways).map(|place| Place { serial: None, address: address(place) }).collect()
    }

    pub(super) fn address(place: usize) -> String {
        ["192.168.1.20", "192.168.1.21"][place].to_owned()
    }

    /// Whether the account has this gateway, so that the cloud has a token for it.
    fn owns(number: usize) -> bool {
        number <= REPLACEMENT
    }

    fn gateway_time(&self, gateway: usize) -> Timestamp {
        // It tells whole seconds.
        Timestamp::from_second((self.now + self.gateway_is_off_by[gateway]).as_second()).unwrap()
    }

    /// By how much the clocks of two gateways differ that are right to five minutes.
    pub(super) fn gateways_differ_by(&self) -> Duration {
        let [one, other] = self.gateway_is_off_by;
        if self.gateways == 1 { Duration::ZERO } else { Duration::try_from((one - other).abs()).unwrap() }
    }

    /// What a daemon sees of the clocks; `asked` is the gateway that it asks.
    pub(super) fn sight(&self, asked: Option<usize>) -> Sight {
        let up = Duration::try_from(self.now.duration_since(self.booted)).unwrap();
        let moment = Moment { wall: self.now + self.machine_is_off_by, boot: self.boot.to_string(), up };
        let answers = asked.filter(|gateway| self.gateway_answers[*gateway]);
        let heard = |gateway: usize| {
            if self.tells_time[gateway] { Heard::Time(self.gateway_time(gateway)) } else { Heard::NoTime }
        };
        Sight::new(moment, answers.map_or(Heard::Nothing, heard))
    }

    pub(super) fn pass(&mut self, length: Duration) {
        self.now += length;
    }

    /// Sets the clock of whoever lies in this history: by minutes, days or years, or right again.
    pub(super) fn set_clock(&mut self) {
        let length = [11 * MINUTE, 26 * HOUR, 40 * DAY, 400 * DAY, 7000 * DAY][self.rng.usize(..5)];
        let length = SignedDuration::try_from(length).unwrap();
        let off_by = [length, -length, SignedDuration::ZERO][self.rng.usize(..3)];
        let gateway = self.rng.usize(..2);
        match self.liar {
            Liar::Machine => self.machine_is_off_by = off_by,
            Liar::Both if self.rng.bool() => self.machine_is_off_by = off_by,
            Liar::Gateway | Liar::Both => self.gateway_is_off_by[gateway] = off_by,
            Liar::Nobody => {}
        }
    }

    /// The machine is off for a while. A Pi has no battery: its clock may stand still meanwhile, or begin anew.
    pub(super) fn reboot(&mut self) {
        let length = [MINUTE, HOUR, 30 * HOUR, 40 * DAY][self.rng.usize(..4)];
        self.pass(length);
        self.boot += 1;
        self.booted = self.now;
        if matches!(self.liar, Liar::Machine | Liar::Both) {
            let off_by = self.machine_is_off_by;
            let still = off_by - SignedDuration::try_from(length).unwrap();
            let anew = "2020-01-01T00:00:00Z".parse::<Timestamp>().unwrap().duration_since(self.now);
            self.machine_is_off_by = [still, anew, off_by][self.rng.usize(..3)];
        }
    }

    pub(super) fn revoke(&mut self, gateway: usize) {
        self.revoked_until[gateway] = self.now;
    }

    /// Whether the gateway lets `token` in, by its own clock, when it is itself.
    pub(super) fn accepts(&self, gateway: usize, token: &Token) -> bool {
        let is_its_own = token.serial == Self::serial(self.named[gateway]);
        is_its_own
            && token.expires_at > self.gateway_time(gateway)
            && token.issued_at > self.revoked_until[gateway]
    }

    /// What the gateway says of `token`.
    pub(super) fn verdict(&self, gateway: usize, token: &Token) -> Verdict {
        match self.mood[gateway] {
            Mood::Judges if self.accepts(gateway, token) => Verdict::Accepted,
            Mood::Judges | Mood::Refuses => Verdict::Refused,
            Mood::SaysNothing => Verdict::Unclear,
        }
    }

    /// A gateway changes its mind, its name, or what it tells.
    pub(super) fn change_gateway(&mut self, gateway: usize) {
        match self.rng.u8(..12) {
            0..4 => self.mood[gateway] = [Mood::Refuses, Mood::SaysNothing][self.rng.usize(..2)],
            4..7 => self.mood[gateway] = Mood::Judges,
            7 => self.tells_time[gateway] = self.rng.bool(),
            8 => self.pages_fail[gateway] = self.rng.bool(),
            // Somebody else answers at its address.
            9 => self.named[gateway] = self.rng.usize(REPLACEMENT + 1..SERIALS),
            10 if gateway == 0 && self.rng.u8(..8) == 0 => self.named[gateway] = REPLACEMENT,
            _ => self.named[gateway] = gateway,
        }
    }

    pub(super) fn change_mood(&mut self) {
        self.cloud_mood = self.rng.usize(..2 * ANSWERS.len());
    }

    fn answer(&self) -> Option<Answer> {
        let (status, retry_after, body) = ANSWERS.get(self.cloud_mood)?;
        let retry_after = retry_after.map(str::to_owned);
        Some(Answer { retry_after, ..Self::say(*status, body) })
    }

    fn say(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec().into(), ..Answer::default() }
    }

    /// Asks the cloud for a session.
    pub(super) fn log_in(&mut self, credentials: u8) -> Result<Secret, Failure> {
        self.not_lost()?;
        let right = credentials == self.right;
        let well = || {
            let session = r#"{"message":"success","session_id":"5e55"}"#;
            if right { Self::say(200, session) } else { Self::say(401, r#"{"message":"Invalid"}"#) }
        };
        answer::login(&self.answer().unwrap_or_else(well))
    }

    /// A request that opens a session may not leave, or its answer may not come.
    fn not_lost(&mut self) -> Result<(), Failure> {
        match self.rng.u8(..20) {
            0 => Err(Failure::transient("no connection")),
            1 => Err(Failure::new(Kind::Unclear, "no answer in time")),
            _ => Ok(()),
        }
    }

    /// Ends a login with the code of a second factor.
    pub(super) fn enter_code(&mut self) -> Result<Secret, Failure> {
        self.not_lost()?;
        let right = self.rng.bool();
        let well = || {
            let session = r#"{"message":"success","session_id":"5e55"}"#;
            Self::say(200, if right { session } else { r#"{"isValid":false,"isBlocked":false}"# })
        };
        answer::code(&self.answer().unwrap_or_else(well))
    }

    /// Asks the cloud for the token of a serial number.
    pub(super) fn fetch(&mut self, number: usize) -> Result<Token, Failure> {
        if self.rng.u8(..20) == 0 {
            return Err(Failure::transient("connection reset"));
        }
        if !Self::owns(number) {
            return Err(answer::token(&Self::say(403, "Forbidden")).unwrap_err());
        }
        let token = self.token(number, self.now, self.lifetime);
        let answer = self.answer().unwrap_or_else(|| Self::say(200, token.secret.expose()));
        answer::token(&answer).map(|_| token)
    }

    /// A token as Entrez makes it, signed with nothing.
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
