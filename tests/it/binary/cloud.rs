//! Tests every kind of failure of the cloud over several starts: exact counts of requests, and the messages.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use enphased::simulator::{Answer, ENTREZ_AUTH_TOKEN, Fault, LOGIN, Simulation, TOKENS, responses};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::site::{HANG, Site, text};

/// The number of starts against each failure.
const STARTS: usize = 4;

/// The failure of the cloud at one of its two requests.
fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("hangs", Fault::Hang),
        ("trickles", Fault::Trickle),
        ("resets the connection", Fault::Reset),
        ("redirects", Fault::Redirect),
        ("answers four gigabytes", Fault::Huge),
        ("answers HTML", Fault::Html),
        ("answers nothing", responses::empty()),
        ("answers half", Fault::Truncated),
        ("answers something else", Fault::Respond(Answer::json(200, r#"{"status":"ok"}"#))),
        ("is out of order", responses::outage(503)),
        ("asks for an hour", responses::too_many_requests(Some(3600))),
    ]
}

/// Returns a log without times, addresses and random digits.
fn plain(log: &str) -> String {
    let words = log.lines().filter_map(|line| line.get(21..)).map(|line| {
        let (told, wait) = line
            .split_once("waits for ")
            .map_or((line, None), |(told, rest)| (told, rest.split_once(": ").map(|(_, why)| why)));
        let mut told: String =
            told.split(' ').map(|word| word.replace("127.0.0.1", "CLOUD")).collect::<Vec<_>>().join(" ");
        if let Some(why) = wait {
            write!(told, "waits for …: {why}").unwrap();
        }
        told
    });
    words
        .filter(|line| !line.contains("first contact"))
        .fold(String::new(), |text, line| text + "    " + line.trim_end() + "\n")
}

/// Starts the program a few times; returns a row of the table.
async fn suffer(name: &'static str, step: &'static str, fault: Fault) -> (String, String) {
    let site = Site::new();
    if step == TOKENS {
        // The other source of tokens fails in the same way.
        site.simulation.cloud.fail(fault.clone().at(ENTREZ_AUTH_TOKEN));
    }
    site.simulation.cloud.fail(fault.at(step));
    let mut row = format!("{step} {name}\n");
    for start in 0..STARTS {
        let output = site.run(&["run", "--once"]).await;
        let log = plain(&text(&output.stderr));
        assert_eq!(output.status.code(), Some(75), "{row}{log}");
        if start == 0 {
            row += &log;
        } else {
            assert!(!log.is_empty() && row.ends_with(&log), "another word at the next start: {row}\n{log}");
        }
    }
    let counts = site.simulation.cloud.counts();
    assert_eq!(counts.login_attempts, 1, "{row}");
    let (fetches, otherwise) = (counts.token_fetches, counts.other_token_fetches);
    assert!(fetches <= 1 && otherwise <= fetches, "{row}");
    let login = counts.login_attempts;
    writeln!(row, "  {STARTS} starts: {login} login, {fetches} for a token, {otherwise} the other way")
        .unwrap();
    (format!("{step} {name}"), row)
}

#[tokio::test]
async fn whatever_the_cloud_does_some_starts_cost_one_login() {
    // Concurrently, because two of them take a whole minute until the timeout.
    let mut rows = JoinSet::new();
    for step in [LOGIN, TOKENS] {
        for (name, fault) in faults() {
            rows.spawn(suffer(name, step, fault));
        }
    }
    let mut rows = rows.join_all().await;
    rows.sort();
    let table: String = rows.into_iter().map(|(_, row)| row + "\n").collect();
    insta::assert_snapshot!("a_cloud_at_its_worst", table);
}

#[tokio::test]
async fn restarts_while_the_cloud_hangs_make_one_request() {
    for step in [LOGIN, TOKENS] {
        let site = Site::new();
        site.simulation.cloud.fail(Fault::Hang.at(step));
        let mut child = site.command(&["run"]).spawn().unwrap();
        let mut asked = site.simulation.cloud.arrived();
        let wanted = if step == LOGIN { 1 } else { 2 };
        timeout(HANG, asked.wait_for(|count| *count >= wanted)).await.expect("it is not asked").unwrap();
        // Two signals, because the first one waits for the response, which never comes.
        let pid = child.id().unwrap().to_string();
        let ended = async {
            loop {
                tokio::process::Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap();
                if let Ok(ended) = timeout(Duration::from_millis(500), child.wait()).await {
                    return ended.unwrap().code();
                }
            }
        };
        assert_eq!(timeout(HANG, ended).await.expect("it does not end"), Some(0));
        site.simulation.cloud.heal();
        for _ in 0..STARTS {
            let output = site.run(&["run", "--once"]).await;
            assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
        }
        let counts = site.simulation.cloud.counts();
        assert_eq!((counts.login_attempts, counts.login_attempts + counts.token_fetches), (1, wanted));
    }
}

#[tokio::test]
async fn an_answer_of_gigabytes_takes_no_memory() {
    for step in [LOGIN, TOKENS] {
        let site = Site::new();
        site.simulation.cloud.fail(Fault::Huge.at(step));
        let mut child = site.command(&["run"]).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = timeout(HANG, log.next_line()).await.expect("nothing is said").unwrap().unwrap();
            if line.contains("exceeds") || line.contains("waits for") {
                break;
            }
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
        // The unit allows 64 MB; an unoptimised program is itself the larger part of this.
        assert!(kilobytes < 64 * 1024, "{kilobytes} kB");
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_cloud_that_changes_its_mind_between_the_requests_is_asked_no_more() {
    let site = Site::new();
    // The login is good, the token is refused, and the session is over: another login would be the only way.
    site.simulation.cloud.fail(responses::sign_in_first(401).at(TOKENS));
    for _ in 0..STARTS {
        site.run(&["run", "--once"]).await;
    }
    assert_eq!(site.logins(), (1, 1, 0));
    site.simulation.cloud.heal();
    for _ in 0..STARTS {
        site.run(&["run", "--once"]).await;
    }
    assert_eq!(site.logins(), (1, 1, 0), "one a day");
}

#[tokio::test]
async fn a_proxy_in_the_environment_is_not_used() {
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let site = Site::new();
    let mut command = site.command(&["token", "refresh"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &url);
    }
    // Without a response the program would wait, so the first call ends it.
    let output = tokio::select! {
        output = timeout(HANG, command.output()) => output.expect("the program hangs").unwrap(),
        _ = proxy.accept() => panic!("the proxy is called"),
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(site.logins(), (1, 1, 1));
}

#[tokio::test]
async fn blanks_around_user_name_and_password_cost_no_login_and_are_told_once() {
    let site = Site::new();
    let config = fs::read_to_string(site.path("config.toml")).unwrap();
    let spoilt = config.replace(Simulation::EMAIL, &format!("\u{feff}{} ", Simulation::EMAIL));
    fs::write(site.path("config.toml"), spoilt).unwrap();
    for written in ["\u{feff}PASSWORD\r\n", " PASSWORD\t\n", "\nPASSWORD\u{a0}", "PASSWORD"] {
        let written = written.replace("PASSWORD", Simulation::PASSWORD);
        fs::write(site.path("password"), &written).unwrap();
        let before = site.logins().1;
        let output = site.run(&["token", "refresh", "--force"]).await;
        let log = text(&output.stderr);
        assert!(output.status.success(), "{written:?}: {log}");
        assert_eq!(site.logins().1, before + 1);
        let blanks = written.trim_matches(['\n', '\r', '\u{feff}']) != Simulation::PASSWORD;
        assert_eq!(
            log.matches("invisible characters before or after the password").count(),
            usize::from(blanks)
        );
        assert!(!log.contains(Simulation::PASSWORD) && !log.contains(Simulation::EMAIL), "{log}");
        fs::remove_dir_all(site.path("state")).unwrap();
    }
    assert_eq!(site.logins(), (4, 4, 4));
}
