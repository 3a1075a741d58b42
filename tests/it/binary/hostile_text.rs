//! Tests external texts that would forge lines, control a terminal or reverse the reading direction: none reaches a log, a
//! terminal or a report unescaped.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use enphased::base::printable::is_printable;
use enphased::simulator::{Answer, Fault, GatewayOptions, LOGIN, Pages, SimulationOptions};
use serde_json::json;

use super::site::{Site, text};

/// A line break before a forged line, and one control character of each kind.
const HOSTILE: &str =
    "x\nFORGED\r\x1b[31m\x1b]0;t\x07\u{85}\u{9b}31m\u{202e}\u{2066}\u{200f}\u{2028}\u{2029}y";
/// The part of it that XML allows.
const HOSTILE_XML: &str = "x\nFORGED\u{85}\u{9b}31m\u{202e}\u{2066}\u{200f}\u{2028}\u{2029}y";

fn page(name: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/8.3.5289_battery");
    fs::read_to_string(fixtures.join(name)).unwrap()
}

/// Returns the pages of a gateway with hostile text in every field that is not needed to recognise a gateway.
fn site() -> Site {
    let gateways = vec![GatewayOptions::new(Pages::battery())];
    let site = Site::of(SimulationOptions { gateways, ..SimulationOptions::default() });
    let hostile = serde_json::to_string(HOSTILE).unwrap();
    for (path, name, word) in [
        ("/admin/lib/tariff", "admin_lib_tariff", "\"self-consumption\""),
        ("/ivp/ensemble/dry_contacts", "ivp_ensemble_dry_contacts", "\"NC1\""),
        ("/ivp/ensemble/generator", "ivp_ensemble_generator", "\"admin_state\""),
        ("/ivp/ensemble/inventory", "ivp_ensemble_inventory", "\"serial_num\""),
        ("/api/v1/production", "api_v1_production", "\"wattHoursToday\""),
    ] {
        let body = page(name);
        assert!(body.contains(word), "{name} has no {word}");
        site.gateway().fail(Fault::Respond(Answer::json(200, body.replacen(word, &hostile, 1))).at(path));
    }
    site
}

/// Returns a token with hostile claims; only the gateway checks signatures.
fn token(serial: &str) -> String {
    let claims = json!({
        "aud": serial, "iss": "Entrez", "enphaseUser": HOSTILE, "username": HOSTILE,
        "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
    });
    let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"typ": "JWT", "alg": "ES256"})), part(&claims))
}

fn assert_clean(what: &str, bytes: &[u8]) {
    let text = text(bytes);
    for line in text.lines() {
        assert!(line.chars().all(is_printable), "{what}: {line:?}");
        assert!(!line.trim_start().starts_with("FORGED"), "{what}: {text}");
    }
}

impl Site {
    /// Returns the output and the log of the program, after checking that they are printable.
    async fn clean(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).env("RUST_LOG", "debug").output().await.unwrap();
        assert_clean(&format!("{arguments:?} to stdout"), &output.stdout);
        assert_clean(&format!("{arguments:?} to stderr"), &output.stderr);
        text(&output.stdout) + &text(&output.stderr)
    }
}

#[tokio::test]
async fn words_of_a_gateway_are_clean_wherever_they_are_printed() {
    let site = site();
    let mut said = String::new();
    for arguments in [
        &["run", "--once"][..],
        &["read"],
        &["read", "--format", "json"],
        &["read", "--format", "influx"],
        &["read", "--format", "text"],
        &["check"],
        &["check", "--bundle"],
        &["token", "status"],
    ] {
        said += &site.clean(arguments).await;
    }
    for format in ["text", "json", "influx"] {
        site.configure(&format!("[stdout]\nformat = {format:?}\n"));
        said += &site.clean(&["run", "--once"]).await;
    }
    assert!(said.contains("FORGED"), "the words were printed at all");
}

#[tokio::test]
async fn words_of_the_info_page_are_clean() {
    for (word, place) in [("D8.3.5289", "software"), ("800-00654-r08", "pn"), ("122300000003", "sn")] {
        for hostile in [HOSTILE_XML.to_owned(), format!("{word}{HOSTILE_XML}"), HOSTILE_XML.repeat(5000)] {
            let site = site();
            let info = page("info").replacen(&format!(">{word}<"), &format!(">{hostile}<"), 1);
            site.gateway().fail(Fault::Respond(Answer::json(200, info)).at("/info"));
            for arguments in [&["run", "--once"][..], &["read"], &["check"], &["check", "--bundle"]] {
                let said = site.clean(arguments).await;
                assert!(said.len() < 100_000, "{place}, {arguments:?}: {} bytes", said.len());
            }
        }
    }
}

#[tokio::test]
async fn words_of_a_token_are_clean() {
    let site = site();
    for serial in [&site.gateway().serial(), HOSTILE] {
        let output = site.import(&token(serial)).await;
        assert_clean("import to stdout", &output.stdout);
        assert_clean("import to stderr", &output.stderr);
        site.clean(&["token", "status"]).await;
        site.clean(&["check"]).await;
        site.clean(&["check", "--bundle"]).await;
        site.clean(&["run", "--once"]).await;
    }
}

#[tokio::test]
async fn words_of_the_cloud_and_of_headers_are_clean() {
    let hostile_header = "x\u{9b}31m\u{202e}FORGED";
    for (status, body) in [(200, json!({"message": HOSTILE, HOSTILE: 1})), (401, json!({"message": HOSTILE}))]
    {
        let site = site();
        let answer = Answer::json(status, body.to_string()).header("content-type", hostile_header);
        site.simulation.cloud.fail(Fault::Respond(answer.clone()).at(LOGIN));
        site.clean(&["token", "refresh", "--verbose"]).await;
        site.clean(&["token", "status"]).await;
        site.gateway().fail(Fault::Respond(answer.header("location", hostile_header)));
        site.clean(&["read"]).await;
        site.clean(&["check", "--bundle"]).await;
    }
}

#[tokio::test]
async fn words_of_the_command_line_are_clean() {
    let site = site();
    let hostile = HOSTILE.replace('\n', "");
    for arguments in [
        &[hostile.as_str()][..],
        &["read", "--format", &hostile],
        &["token", "status", "--gateway", &hostile],
    ] {
        let output = site.run(arguments).await;
        assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
        assert_clean("usage", &output.stderr);
    }
    let output = site.run(&["token", "import", &hostile]).await;
    assert_clean("a file that is missing", &output.stderr);
}

#[tokio::test]
async fn words_of_the_configuration_are_clean() {
    let site = site();
    let hostile = serde_json::to_string(HOSTILE).unwrap().replace('\u{85}', "\\u0085").replace('\u{7f}', "");
    for line in [
        format!("{hostile} = 1"),
        format!("time_zone = {hostile}"),
        format!("[[gateway]]\naddress = {hostile}"),
        format!("[[gateway]]\ninterval = {hostile}"),
        format!("[mqtt]\nurl = {hostile}"),
        format!("[stdout]\nformat = {hostile}\n{HOSTILE}"),
    ] {
        fs::write(site.path("config.toml"), &line).unwrap();
        for arguments in [&["config", "validate"][..], &["check"], &["run"]] {
            let output = site.run(arguments).await;
            assert_clean(&line, &output.stdout);
            assert_clean(&line, &output.stderr);
            assert_eq!(output.status.code(), Some(78), "{line:?}: {}", text(&output.stderr));
        }
    }
}
