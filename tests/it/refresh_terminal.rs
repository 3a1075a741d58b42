//! Tests `token refresh` of the built program: with a second factor at a terminal, and with `--verbose`.

use std::path::PathBuf;

use enphased::simulator::{
    Account, CloudOptions, SecondFactor, Simulation, SimulationOptions, TOKENS, responses,
};
use pty_process::{Command, Pty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::timeout;

use crate::binary::{HANG, Site, text};

const CODE: &str = "246810";

/// Creates a house whose account requires a code.
fn site() -> Site {
    let serials = vec![Site::new().gateway().serial()];
    let account = Account {
        email: Simulation::EMAIL.into(),
        password: Simulation::PASSWORD.into(),
        serials,
        second_factor: Some(SecondFactor::Code(CODE.into())),
    };
    let cloud = CloudOptions { accounts: vec![account], ..CloudOptions::default() };
    Site::of(SimulationOptions { cloud, ..SimulationOptions::default() })
}

/// The program on a terminal, and its output.
struct Screen {
    pty: Pty,
    child: Child,
    shown: String,
}

impl Screen {
    fn start(site: &Site) -> Self {
        let (pty, pts) = pty_process::open().unwrap();
        let command = Command::new(crate::program())
            .env_clear()
            .env("HOME", site.path(""))
            .arg("--config")
            .arg(site.path("config.toml"))
            .args(["token", "refresh"])
            .kill_on_drop(true);
        let child = command.spawn(pts).unwrap();
        Self { pty, child, shown: String::new() }
    }

    /// Reads the output up to and including `words`.
    async fn until(&mut self, words: &str) -> String {
        let read = async {
            loop {
                if let Some(at) = self.shown.find(words) {
                    return self.shown.drain(..at + words.len()).collect();
                }
                assert!(self.read().await, "it ends without {words:?}: {}", self.shown);
            }
        };
        timeout(HANG, read).await.expect("nothing is shown")
    }

    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        // A terminal whose program has ended gives an error.
        let read = self.pty.read(&mut bytes).await.unwrap_or(0);
        self.shown += &String::from_utf8_lossy(&bytes[..read]);
        read > 0
    }

    /// Types a line once the terminal has stopped echoing.
    async fn types(&mut self, line: &str) {
        let terminal = PathBuf::from(format!("/proc/{}/fd/0", self.child.id().unwrap()));
        let hidden = async {
            loop {
                let stty = tokio::process::Command::new("stty").arg("-a").arg("-F").arg(&terminal).output();
                if text(&stty.await.unwrap().stdout).contains(" -echo ") {
                    return;
                }
            }
        };
        timeout(HANG, hidden).await.expect("the terminal shows what is typed");
        self.pty.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for the end, and returns the rest of the output and the exit code.
    async fn end(mut self) -> (String, Option<i32>) {
        let end = async {
            while self.read().await {}
            self.child.wait().await.unwrap().code()
        };
        let code = timeout(HANG, end).await.expect("it does not end");
        (self.shown, code)
    }
}

/// Returns the steps in the record of logins, with their outcomes.
fn record(site: &Site) -> Vec<String> {
    let text = std::fs::read_to_string(site.path("state/logins.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    let told = |attempt: &serde_json::Value| {
        let outcome = attempt["outcome"]["failed"]["kind"].as_str().or(attempt["outcome"].as_str());
        format!("{} {}", attempt["step"].as_str().unwrap(), outcome.unwrap_or("?"))
    };
    record["attempts"].as_array().unwrap().iter().map(told).collect()
}

#[tokio::test]
async fn a_code_that_is_typed_at_the_terminal_ends_the_one_login() {
    let site = site();
    let mut screen = Screen::start(&site);
    let mut shown = screen.until("press Enter to request another code): ").await;
    screen.types("111111").await;
    shown += &screen.until("Wrong code").await;
    shown += &screen.until("press Enter to request another code): ").await;
    screen.types("").await;
    shown += &screen.until("Another code was sent").await;
    shown += &screen.until("press Enter to request another code): ").await;
    screen.types("246 810").await;
    let (rest, code) = screen.end().await;
    shown += &rest;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("The gateway accepted it"), "{shown}");
    let counts = site.simulation.cloud.counts();
    assert_eq!((counts.login_attempts, counts.logins, counts.codes_tried, counts.codes_sent), (1, 1, 2, 1));
    assert_eq!((counts.token_fetches, counts.tokens, counts.other), (1, 1, 0));
    let steps =
        ["login second_factor", "code wrong_code", "another_code success", "code success", "token success"];
    assert_eq!(record(&site), steps);
    assert!(!secrets_in(&shown) && !shown.contains("111111") && !shown.contains("810"), "{shown}");
    for entry in std::fs::read_dir(site.path("state")).unwrap() {
        let kept = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!kept.contains(CODE) && !kept.contains("5d3c1a"), "the code and what it belongs to: {kept}");
    }
}

#[tokio::test]
async fn three_wrong_codes_end_the_login_and_a_daemon_asks_nobody() {
    let site = site();
    let mut screen = Screen::start(&site);
    for _ in 0..3 {
        screen.until("press Enter to request another code): ").await;
        screen.types("111111").await;
    }
    let (shown, code) = screen.end().await;
    assert_eq!(code, Some(77), "{shown}");
    assert!(shown.contains("refused every code"), "{shown}");
    let daemon = site.run(&["run", "--once"]).await;
    assert!(text(&daemon.stderr).contains("second factor"), "{}", text(&daemon.stderr));
    let counts = site.simulation.cloud.counts();
    assert_eq!((counts.login_attempts, counts.codes_tried, counts.logins), (1, 3, 0));
}

#[tokio::test]
async fn without_a_terminal_a_second_factor_says_what_to_do() {
    let site = site();
    let output = site.run(&["token", "refresh"]).await;
    assert_eq!(output.status.code(), Some(77));
    let words = text(&output.stderr);
    assert!(words.contains("on a terminal") && words.contains("token import"), "{words}");
    let counts = site.simulation.cloud.counts();
    assert_eq!((counts.login_attempts, counts.codes_tried, counts.codes_sent), (1, 0, 0));
}

/// Removes the parts that differ between runs.
fn steady(site: &Site, log: &str) -> String {
    let (enlighten, entrez) = (site.simulation.cloud.enlighten_url(), site.simulation.cloud.entrez_url());
    let bare = |url: &str| url.trim_start_matches("http://").to_owned();
    let log = log.replace(&bare(&enlighten), "enlighten").replace(&bare(&entrez), "entrez");
    let steady = |line: &str| {
        let line = line.split_once('Z').map_or(line, |(_time, rest)| rest);
        match line.rsplit_once("; ") {
            Some((told, took)) if took.ends_with(" ms") => format!("{told}; … ms"),
            _ => line.to_owned(),
        }
    };
    log.lines().map(steady).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_conversation_is_told_without_a_secret() {
    let site = Site::new();
    site.simulation.cloud.fail(responses::not_found().at(TOKENS));
    let output = site.run(&["token", "refresh", "--verbose"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let log = text(&output.stderr);
    assert!(!secrets_in(&log) && !log.contains(Simulation::EMAIL), "{log}");
    let record = std::fs::read_to_string(site.path("state/logins.json")).unwrap();
    assert!(!record.contains("session_id"));
    insta::assert_snapshot!(steady(&site, &log));
}

fn secrets_in(text: &str) -> bool {
    text.contains("eyJ") || text.contains(Simulation::PASSWORD)
}
