//! Tests the commands of the built program.

use std::process::Stdio;
use std::time::Duration;

use enphased::base::clock::Clock;
use enphased::io::gateway::Endpoint;
use enphased::simulator::{Answer, Condition, Fault, Role, Simulation, mint_token};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::site::{HANG, Site, text};

#[tokio::test]
async fn a_password_that_is_wrong_is_refused_in_words() {
    let site = Site::new();
    std::fs::write(site.path("password"), "wrong").unwrap();
    let first = site.run(&["token", "refresh"]).await;
    assert_eq!(first.status.code(), Some(77));
    assert!(
        text(&first.stderr).contains("the e-mail address or the password was refused"),
        "{}",
        text(&first.stderr)
    );
    let second = site.run(&["token-refresh"]).await;
    assert_eq!(second.status.code(), Some(77));
    assert_eq!(site.simulation.cloud.counts().login_attempts, 1, "the same password is not tried again");
    std::fs::write(site.path("password"), Simulation::PASSWORD).unwrap();
    assert!(site.run(&["token", "refresh"]).await.status.success());
}

#[tokio::test]
async fn a_refresh_obeys_the_hold_offs_unless_forced() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    let again = site.run(&["token", "refresh"]).await;
    assert_eq!(again.status.code(), Some(75));
    let words = text(&again.stderr);
    assert!(words.contains("the limit is one a day") && words.contains("--force"), "{words}");
    assert_eq!(site.logins(), (1, 1, 1));
    let forced = site.run(&["token", "refresh", "--force"]).await;
    assert!(forced.status.success(), "{}", text(&forced.stderr));
    assert!(text(&forced.stdout).contains("locks the account for a day"));
    assert_eq!(site.logins(), (2, 2, 2));
}

#[tokio::test]
async fn an_import_explains_what_it_got() {
    let site = Site::new();
    let installer = site.import(&site.token(Role::Installer, Duration::from_secs(12 * 3600))).await;
    let words = text(&installer.stdout);
    assert!(installer.status.success(), "{words}");
    assert!(
        words.contains("role installer") && words.contains("12 h") && words.contains("not renewed"),
        "{words}"
    );
    let year = Duration::from_secs(365 * 86_400);
    let other = mint_token("999900000001", Role::Owner, Clock::system().now(), year);
    let other = site.import(&other).await;
    assert_eq!(other.status.code(), Some(65));
    assert!(text(&other.stderr).contains("for a gateway other than yours"), "{}", text(&other.stderr));
    let none = site.import("hello").await;
    assert_eq!(none.status.code(), Some(65));
    assert!(text(&none.stderr).contains("this is not a token"), "{}", text(&none.stderr));
    let mut bytes = site.command(&["token", "import"]).stdin(Stdio::piped()).spawn().unwrap();
    bytes.stdin.take().unwrap().write_all(&[0x65, 0xff, 0xfe, 0x00]).await.unwrap();
    let bytes = timeout(HANG, bytes.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(bytes.status.code(), Some(65));
    assert!(text(&bytes.stderr).contains("this is not a token: it is not text"), "{}", text(&bytes.stderr));
    assert_eq!(site.logins(), (0, 0, 0));
    let status = text(&site.run(&["token", "status"]).await.stdout);
    assert!(status.contains("installer"), "the token of before is still there: {status}");
}

/// Checks that a page which accepts the token counts like the page that judges tokens.
#[tokio::test]
async fn an_imported_token_is_accepted_by_a_page_where_the_check_says_nothing() {
    let site = Site::new();
    site.gateway().fail(Fault::Respond(Answer::html(404, "no")).at("/auth/check_jwt"));
    let year = Duration::from_secs(365 * 86_400);
    let accepted = site.import(&site.token(Role::Owner, year)).await;
    assert!(text(&accepted.stdout).contains("The gateway accepted it."), "{}", text(&accepted.stdout));
    for page in ["/ivp/meters", "/api/v1/production", "/api/v1/production/inverters"] {
        site.gateway().fail(Fault::Respond(Answer::html(401, "no")).at(page));
    }
    let stored = site.import(&site.token(Role::Owner, 2 * year)).await;
    assert!(stored.status.success(), "{}", text(&stored.stderr));
    assert!(
        text(&stored.stdout).contains("will be used once the gateway accepts it"),
        "{}",
        text(&stored.stdout)
    );
}

#[tokio::test]
async fn a_changed_key_is_accepted_by_gateway_trust() {
    let site = Site::new();
    assert!(site.run(&["read"]).await.status.success());
    site.gateway().set_condition(Condition::ReplacedKey);
    let refused = site.run(&["read"]).await;
    assert_eq!(refused.status.code(), Some(77));
    assert!(text(&refused.stderr).contains("gateway trust"), "{}", text(&refused.stderr));
    let asked = site.run(&["gateway", "trust"]).await;
    assert_eq!(asked.status.code(), Some(77), "nobody said yes");
    let accepted = site.run(&["gateway", "trust", "--yes"]).await;
    assert!(accepted.status.success(), "{}", text(&accepted.stderr));
    assert!(site.run(&["read"]).await.status.success());
}

#[tokio::test]
async fn check_says_what_is_good_and_what_is_not_and_never_logs_in() {
    let site = Site::new();
    let before = site.run(&["check"]).await;
    let words = text(&before.stdout);
    assert_eq!(before.status.code(), Some(75), "{words}");
    assert!(words.contains("WRONG  token"), "{words}");
    assert_eq!(site.logins(), (0, 0, 0));
    assert!(site.run(&["token", "refresh"]).await.status.success());
    let after = site.run(&["check"]).await;
    let words = text(&after.stdout);
    assert!(after.status.success() && !words.contains("WRONG"), "{words}");
    assert_eq!(site.logins(), (1, 1, 1));
    site.gateway().set_condition(Condition::Refusing);
    let away = site.run(&["check"]).await;
    assert_eq!(away.status.code(), Some(75));
    assert!(text(&away.stdout).contains("WRONG  gateway"), "{}", text(&away.stdout));
}

#[tokio::test]
async fn check_names_the_tables_that_lead_to_one_gateway() {
    let site = Site::new();
    assert!(site.import(&site.token(Role::Owner, Duration::from_secs(365 * 86_400))).await.status.success());
    let second = site.gateway().address().replace("127.0.0.1", "localhost");
    site.configure(&format!("[[gateway]]\naddress = {second:?}\n"));
    let output = site.run(&["check"]).await;
    let words = text(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{words}");
    let line = words.lines().find(|line| line.starts_with("WRONG  gateway")).unwrap();
    assert!(line.contains("127.0.0.1") && line.contains("localhost"), "{words}");
    assert_eq!(words.matches("good   token").count(), 1, "the first is looked at: {words}");
}

#[tokio::test]
async fn a_login_that_is_held_off_is_tried_later_and_not_refused() {
    let site = Site::new();
    site.simulation.cloud.fail(Fault::Respond(Answer::empty(503)));
    for arguments in [&["token", "refresh"][..], &["read"], &["run", "--once"], &["check"]] {
        let output = site.run(arguments).await;
        let words = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{arguments:?}: {words}");
        assert!(words.contains("the last attempt at the cloud failed"), "{arguments:?}: {words}");
    }
}

#[tokio::test]
async fn a_gateway_that_is_another_program_is_told_from_a_gateway() {
    let site = Site::new();
    for (fault, words) in [
        (Fault::Html, "not an Enphase gateway"),
        (Fault::Huge, "exceeds"),
        (Fault::Redirect, "redirected"),
        (Fault::Respond(Answer::empty(200)), "/info"),
        (Fault::Truncated, "/info"),
    ] {
        site.gateway().fail(fault.clone());
        let output = site.run(&["read"]).await;
        site.gateway().heal();
        assert_eq!(output.status.code(), Some(75), "{fault:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{fault:?}: {}", text(&output.stderr));
    }
    assert_eq!(site.logins(), (0, 0, 0));
}

#[tokio::test]
async fn a_gateway_that_answers_with_nothing_is_no_success_for_read_and_check() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    for endpoint in Endpoint::ALL {
        let answer =
            if endpoint == Endpoint::Inverters { Answer::json(200, "[]") } else { Answer::empty(200) };
        site.gateway().fail(Fault::Respond(answer).at(endpoint.path()));
    }
    let read = site.run(&["read"]).await;
    assert_eq!(read.status.code(), Some(75), "{}", text(&read.stderr));
    assert!(
        text(&read.stderr).contains("no page yields production: /ivp/meters (it is empty)"),
        "{}",
        text(&read.stderr)
    );
    assert_eq!(text(&read.stdout), "");
    let check = site.run(&["check"]).await;
    let words = text(&check.stdout);
    assert_eq!(check.status.code(), Some(75), "{words}");
    assert!(words.contains("readable with this token: inverters\n"), "{words}");
    assert!(words.contains("WRONG  pages           production (/api/v1/production): it is empty"), "{words}");
    assert!(words.contains("WRONG  values          no page yields production"), "{words}");
    assert_eq!(site.run(&["run", "--once"]).await.status.code(), Some(75));
}

#[tokio::test]
async fn read_and_check_take_each_value_from_the_next_page_that_has_it() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    site.gateway().fail(Fault::Html.at("/ivp/meters/readings"));
    let read = site.run(&["read", "--format", "json"]).await;
    assert!(read.status.success(), "{}", text(&read.stderr));
    let document: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    assert!(
        document["production"]["power_w"].is_number() && document["grid"]["power_w"].is_number(),
        "{document}"
    );
    let check = site.run(&["check"]).await;
    let words = text(&check.stdout);
    assert_eq!(check.status.code(), Some(75), "{words}");
    assert!(words.contains("WRONG  pages           meters (/ivp/meters/readings)"), "{words}");
    assert!(words.contains("phases from /production.json?details=1"), "{words}");
}

#[tokio::test]
async fn check_says_that_a_token_is_neither_accepted_nor_refused_and_looks_at_the_pages() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    site.gateway().fail(Fault::Respond(Answer::html(404, "no")).at("/auth/check_jwt"));
    let check = site.run(&["check"]).await;
    let words = text(&check.stdout);
    assert!(check.status.success(), "{words}");
    assert!(words.contains("note   token") && words.contains("neither accepts nor refuses it"), "{words}");
    assert!(words.contains("good   values"), "{words}");
    assert!(site.run(&["read"]).await.status.success());
    assert_eq!(site.logins(), (1, 1, 1));
}

#[tokio::test]
async fn wrong_input_is_met_with_a_sentence_and_a_code() {
    let site = Site::new();
    for (text_of_file, words) in [
        ("intervall = \"30s\"", "unknown key `intervall`"),
        ("[[gateway]]\ninterval = \"0s\"", "out of range"),
        ("[mqtt]\nca_file = 5", "invalid type"),
        ("[[gateway]", "line 1"),
    ] {
        std::fs::write(site.path("config.toml"), text_of_file).unwrap();
        for arguments in [&["config", "validate"][..], &["run"], &["check"]] {
            let output = site.run(arguments).await;
            assert_eq!(output.status.code(), Some(78), "{arguments:?} with {text_of_file}");
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(said.contains(words), "{arguments:?}: {said}");
        }
    }
    assert_eq!(site.run(&["rnu"]).await.status.code(), Some(64));
    std::fs::remove_file(site.path("config.toml")).unwrap();
    assert_eq!(site.run(&["run"]).await.status.code(), Some(78));
    let example = site.run(&["config", "example"]).await;
    std::fs::write(site.path("config.toml"), &example.stdout).unwrap();
    assert!(site.run(&["config", "validate"]).await.status.success());
}

#[tokio::test]
async fn check_names_what_is_open_to_other_users_and_the_command_that_closes_it() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    assert!(site.run(&["check"]).await.status.success());
    for (name, open, closed, code, words) in [
        ("state", 0o777, 0o700, 73, "other users can change"),
        ("state", 0o755, 0o700, 73, "other users can read"),
        ("state/logins.json", 0o644, 0o600, 73, "other users can read logins.json"),
        ("password", 0o644, 0o600, 78, "other users can read"),
        ("config.toml", 0o666, 0o644, 78, "other users can change"),
    ] {
        site.set_mode(name, open);
        let output = site.run(&["check"]).await;
        let report = text(&output.stdout);
        assert!(report.contains(words) && report.contains("chmod"), "{name} {open:o}: {report}");
        assert_eq!(output.status.code(), Some(code), "{name} {open:o}: {report}");
        site.set_mode(name, closed);
    }
    assert!(site.run(&["check"]).await.status.success());
}
