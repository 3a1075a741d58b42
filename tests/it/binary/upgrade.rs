//! Tests that an upgrade from version 0.1.0, and a downgrade to it, cost no login and lose no total.
//!
//! `fixtures/state/0.1.0` holds files that 0.1.0 wrote, with placeholders for the token and for the present. The structs below
//! are the forms that 0.1.0 reads, with its rules about what may be absent; unknown fields it ignores.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use enphased::base::clock::Clock;
use enphased::simulator::Role;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::site::{Site, text};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/state/0.1.0");
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Puts a file of 0.1.0 into the state directory as `name`.
fn put(site: &Site, file: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let now = Clock::system().now().to_string();
    let text = fs::read_to_string(format!("{FILES}/{file}")).unwrap();
    let text = text.replace("NOW", &now).replace("TOKEN", &site.token(Role::Owner, YEAR));
    let mut value: Value = serde_json::from_str(&text).unwrap();
    change(&mut value);
    fs::create_dir_all(site.path("state")).unwrap();
    site.set_mode("state", 0o700);
    fs::write(site.path("state").join(name), serde_json::to_string(&value).unwrap()).unwrap();
    site.set_mode(&format!("state/{name}"), 0o600);
}

/// Returns the names of files that were set aside.
fn set_aside(site: &Site) -> Vec<String> {
    let names = fs::read_dir(site.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".damaged")).collect()
}

fn reading(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn an_upgrade_costs_no_login_and_continues_the_totals() {
    // What the gateway shows, by a program without a state of before.
    let other = Site::new();
    let shown = reading(&other.run(&["read", "--format", "json"]).await)["production"]["energy_wh"].clone();
    let site = Site::new();
    let serial = site.gateway().serial().clone();
    for kind in ["token", "gateway"] {
        put(&site, &format!("{kind}-122300000001.json"), &format!("{kind}-{serial}.json"), |_| {});
    }
    put(&site, "logins.json", "logins.json", |_| {});
    // The published total was 1 kWh ahead, because another meter was replaced.
    put(&site, "counters-122300000001.json", &format!("counters-{serial}.json"), |file| {
        let total = &mut file["totals"]["tracks"]["production"];
        let raw = shown.as_f64().unwrap() - 10.0;
        total["published"] = json!(raw + 1000.0);
        total["level"]["raw"] = json!(raw);
        total["level"]["base"] = json!(1000.0);
    });
    let reading = reading(&site.run(&["run", "--once"]).await);
    assert_eq!(site.logins(), (0, 0, 0), "an upgrade is no reason for a login");
    assert_eq!(set_aside(&site), [""; 0]);
    let total = reading["production"]["energy_wh"].as_i64().unwrap();
    let ahead = total - shown.as_i64().unwrap();
    assert!((990..6000).contains(&ahead), "the base is kept: {ahead}");
    let status = text(&site.run(&["token", "status"]).await.stdout);
    assert!(status.contains("owner, valid until") && status.contains("succeeded"), "{status}");
}

#[tokio::test]
async fn an_upgrade_obeys_the_hold_off_of_before() {
    let site = Site::new();
    put(&site, "logins_held_off.json", "logins.json", |_| {});
    let serial = site.gateway().serial().clone();
    put(&site, "gateway-122300000001.json", &format!("gateway-{serial}.json"), |_| {});
    let output = site.run(&["run", "--once"]).await;
    assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
    assert_eq!(site.logins(), (0, 0, 0));
    let status = text(&site.run(&["token", "status"]).await.stdout);
    assert!(status.contains("too many active sessions"), "{status}");
    assert_eq!(set_aside(&site), [""; 0]);
}

/// The forms of 0.1.0.
#[expect(dead_code, reason = "that they can be read is the test")]
mod before {
    use super::{BTreeMap, Deserialize, Timestamp};

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum Kind {
        Transient,
        Unclear,
        Unexpected,
        TooManySessions,
        Blocked,
        WrongCredentials,
        SecondFactor,
        WrongCode,
        SessionOver,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum Step {
        Login,
        Token,
        OtherToken,
        Code,
        AnotherCode,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum Reason {
        NoToken,
        Expired,
        Renewal,
        Refused,
        Operator,
    }

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum Outcome {
        Success,
        Failed { kind: serde_json::Value, why: String },
    }

    #[derive(Deserialize)]
    pub(super) struct Attempt {
        step: Step,
        reason: Reason,
        serial: String,
        at: u64,
        time: Timestamp,
        pub(super) outcome: Option<Outcome>,
    }

    #[derive(Deserialize)]
    pub(super) struct Hold {
        until: u64,
        kind: Kind,
    }

    #[derive(Deserialize)]
    pub(super) struct Halt {
        kind: Kind,
        credentials: String,
    }

    #[derive(Deserialize)]
    pub(super) struct Anchor {
        wall: Timestamp,
        boot: String,
        up_ms: u64,
        gateway: Option<Timestamp>,
    }

    #[derive(Deserialize)]
    pub(super) struct Session {
        id: String,
        username: String,
        since: u64,
    }

    #[derive(Deserialize)]
    pub(super) struct Refusal {
        token: String,
        first: u64,
        confirmed: bool,
    }

    #[derive(Deserialize)]
    pub(super) struct Record {
        pub(super) version: String,
        age: u64,
        anchor: Anchor,
        pub(super) attempts: Vec<Attempt>,
        pub(super) hold: Option<Hold>,
        halts: Vec<Halt>,
        session: Option<Session>,
        refusals: BTreeMap<String, Vec<Refusal>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub(super) enum Origin {
        Login,
        Import,
    }

    #[derive(Deserialize)]
    pub(super) struct OneToken {
        pub(super) token: String,
        origin: Origin,
        stored_at: Timestamp,
        verified_at: Option<Timestamp>,
    }

    #[derive(Deserialize)]
    pub(super) struct Tokens {
        pub(super) current: Option<OneToken>,
        candidate: Option<OneToken>,
    }

    #[derive(Deserialize)]
    pub(super) struct Gateway {
        pub(super) key: String,
        address: String,
        since: Timestamp,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum Source {
        Meter,
        Inverters,
    }

    #[derive(Deserialize)]
    pub(super) struct Level {
        source: Option<Source>,
        raw: f64,
        #[serde(default)]
        base: f64,
        pub(super) at: Timestamp,
    }

    #[derive(Deserialize)]
    pub(super) struct Suspect {
        first: f64,
        since: Timestamp,
        readings: u32,
        level: Level,
    }

    #[derive(Deserialize)]
    pub(super) struct Total {
        pub(super) published: f64,
        pub(super) level: Level,
        former: Option<Level>,
        suspect: Option<Suspect>,
    }

    #[derive(Deserialize)]
    pub(super) struct Day {
        date: jiff::civil::Date,
        start: Option<f64>,
        before: Option<f64>,
        last: f64,
        last_at: Timestamp,
    }

    #[derive(Deserialize)]
    pub(super) struct Days {
        day: Option<Day>,
    }

    #[derive(Deserialize)]
    pub(super) struct Totals {
        version: u8,
        pub(super) tracks: BTreeMap<String, Total>,
        pub(super) days: BTreeMap<String, Days>,
        pub(super) details: BTreeMap<String, Total>,
    }

    #[derive(Deserialize)]
    pub(super) struct Tally {
        reports: u32,
        watts: f64,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum Condition {
        Good,
        Silent,
        Weak,
    }

    #[derive(Deserialize)]
    pub(super) struct Siblings {
        date: Option<jiff::civil::Date>,
        newest: Option<Timestamp>,
        samples: u32,
        tallies: BTreeMap<String, Tally>,
        conditions: BTreeMap<String, Condition>,
    }

    #[derive(Deserialize)]
    pub(super) struct Counters {
        pub(super) totals: Totals,
        siblings: Siblings,
    }
}

/// Reads a file of the state directory as 0.1.0 does.
fn as_before<T: DeserializeOwned>(site: &Site, name: &str) -> T {
    let text = fs::read_to_string(site.path("state").join(name)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("0.1.0 cannot read {name}: {error}\n{text}"))
}

#[tokio::test]
async fn version_0_1_0_can_read_what_this_version_writes() {
    let site = Site::new();
    let serial = site.gateway().serial().clone();
    let begun = Clock::system().now();
    let mut daemon = site.daemon().await;
    let reading = daemon.reading().await;
    assert_eq!(daemon.stop().await, Some(0));
    for name in [format!("token-{serial}.json"), format!("token-{serial}.copy.json")] {
        let tokens: before::Tokens = as_before(&site, &name);
        assert_eq!(tokens.current.unwrap().token.split('.').count(), 3);
    }
    let record: before::Record = as_before(&site, "logins.json");
    assert_eq!((record.version.as_str(), record.attempts.len()), ("1", 2), "a login and a token");
    assert!(record.attempts.iter().all(|attempt| attempt.outcome == Some(before::Outcome::Success)));
    let gateway: before::Gateway = as_before(&site, &format!("gateway-{serial}.json"));
    assert_eq!(gateway.key.len(), 64);
    let counters: before::Counters = as_before(&site, &format!("counters-{serial}.json"));
    let total = &counters.totals.tracks["production"];
    let published = reading["production"]["energy_wh"].as_f64().unwrap();
    assert!((total.published - published).abs() < 5000.0, "{} and {published}", total.published);
    // By this time 0.1.0 judges how much a total may have grown.
    assert!(counters.totals.details.values().chain([total]).all(|total| total.level.at >= begun));
    assert!(counters.totals.days.contains_key("production"));
}

#[tokio::test]
async fn version_0_1_0_can_read_a_failed_login() {
    let site = Site::new();
    site.simulation.cloud.fail(enphased::simulator::responses::too_many_sessions(200));
    assert_eq!(site.run(&["run", "--once"]).await.status.code(), Some(75));
    let record: before::Record = as_before(&site, "logins.json");
    assert!(record.hold.is_some(), "the hold-off");
    assert!(matches!(record.attempts[0].outcome, Some(before::Outcome::Failed { .. })));
}
