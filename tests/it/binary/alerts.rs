//! Tests `enphased alerts test` of the built program.

use super::site::{Site, text};
use crate::support::webhook::{Mood, Webhook};

/// Runs the command with this table in the configuration; returns the exit code and all output.
async fn tested(site: &Site, table: &str) -> (i32, String) {
    site.configure(table);
    let mut command = site.command(&["alerts", "test"]);
    let output = command.env("RUST_LOG", "trace").output().await.unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!said.contains("MARK-"), "{said}");
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn each_response_is_explained_and_has_its_exit_code() {
    let site = Site::new();
    let webhook = Webhook::open().await;
    for (mood, code, words) in [
        (Mood::Good, 0, "the server accepted the test message (HTTP 200)"),
        (Mood::Endless, 0, "the server accepted the test message (HTTP 200)"),
        (Mood::Status(401, &[]), 77, "the server refused access (HTTP 401)"),
        (Mood::Status(403, &[]), 77, "the server refused access (HTTP 403)"),
        (Mood::Status(404, &[]), 78, "the server does not know this address (HTTP 404)"),
        (
            Mood::Status(302, &[("location", "http://127.0.0.1:1/MARK-")]),
            78,
            "the server redirects (HTTP 302)",
        ),
        (Mood::Status(400, &[]), 78, "check that `format` is what it expects"),
        (Mood::Status(429, &[]), 75, "no more messages for a while"),
        (Mood::Status(500, &[]), 75, "the server failed (HTTP 500)"),
    ] {
        webhook.set(mood.clone());
        let (exit, said) = tested(&site, &webhook.table()).await;
        assert!(exit == code && said.contains(words), "{mood:?}: {exit} {said}");
    }
    let requests = webhook.requests();
    assert_eq!(requests.len(), 9, "each is sent once");
    assert_eq!(requests[0].title, "Test of enphased");
    assert_eq!(requests[0].body, "Alerts about your solar gateway arrive here.");
    webhook.set(Mood::Good);
    tested(&site, &(webhook.table() + "format = \"json\"\n")).await;
    let object: serde_json::Value = serde_json::from_str(&webhook.requests().last().unwrap().body).unwrap();
    assert_eq!((&object["state"], &object["title"]), (&"test".into(), &"Test of enphased".into()));
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_explained() {
    let site = Site::new();
    let gateway = site.gateway().address();
    let table = |url: &str| format!("[alerts]\nurl = \"{url}\"\n");
    for (table, code, words) in [
        (table("http://127.0.0.1:1/MARK-topic"), 75, "the server cannot be reached"),
        (table(&format!("{gateway}/MARK-topic")), 69, "no trusted connection to the server"),
        (table("http://93.184.216.34/MARK-topic"), 78, "would cross the internet unencrypted"),
        (table("MARK-topic"), 78, "this is not a URL"),
        ("[alerts]\n".to_owned(), 78, "write the address that receives the alerts"),
        (String::new(), 78, "the configuration has no [alerts]"),
    ] {
        let (exit, said) = tested(&site, &table).await;
        assert!(exit == code && said.contains(words), "{table}: {exit} {said}");
    }
}

#[tokio::test]
async fn a_configuration_with_the_address_that_others_can_read_is_named_by_the_check() {
    let site = Site::new();
    let webhook = Webhook::open().await;
    site.configure(&webhook.table());
    for (mode, is_named) in [(0o644, true), (0o640, false), (0o600, false)] {
        site.set_mode("config.toml", mode);
        let said = text(&site.run(&["check"]).await.stdout);
        assert_eq!(said.contains("which contains the address for alerts"), is_named, "{mode:o} {said}");
        assert!(!said.contains("MARK-"), "{said}");
    }
    assert_eq!(webhook.titles(), [""; 0], "a check sends nothing");
}
