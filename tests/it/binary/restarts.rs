//! Tests starts, kills and restarts of the built program, and counts their requests to the cloud.

use std::time::Duration;

use enphased::simulator::{Answer, Fault, LOGIN, Role};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

use super::site::{Daemon, HANG, Site, text};

#[tokio::test]
async fn a_first_start_logs_in_once_and_thirty_restarts_never_again() {
    let site = Site::new();
    for round in 0..31 {
        let daemon = site.daemon().await;
        if round % 2 == 0 { daemon.kill().await } else { assert_eq!(daemon.stop().await, Some(0)) }
    }
    assert_eq!(site.logins(), (1, 1, 1));
}

#[tokio::test]
async fn five_restarts_with_an_imported_token_ask_the_cloud_nothing() {
    let site = Site::new();
    let imported = site.import(&site.token(Role::Owner, Duration::from_secs(365 * 86_400))).await;
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    for _ in 0..5 {
        site.daemon().await.stop().await;
    }
    let counts = site.simulation.cloud.counts();
    assert_eq!((counts.login_attempts, counts.token_fetches, counts.other), (0, 0, 0));
    assert!(site.simulation.cloud.requests().is_empty());
}

#[tokio::test]
async fn thirty_restarts_against_a_full_account_make_one_login() {
    let site = Site::new();
    site.simulation
        .cloud
        .fail(Fault::Respond(Answer::json(200, r#"{"message":"Too many active sessions.."}"#)));
    for _ in 0..30 {
        let output = site.run(&["run", "--once"]).await;
        assert_eq!(output.status.code(), Some(75));
        let log = text(&output.stderr);
        assert!(log.contains("too many active sessions"), "{log}");
    }
    assert_eq!(site.simulation.cloud.counts().login_attempts, 1);
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_login_counts_as_one() {
    let site = Site::new();
    site.simulation.cloud.fail(Fault::Hang.at(LOGIN));
    let mut child = site.command(&["run"]).spawn().unwrap();
    while site.simulation.cloud.counts().login_attempts == 0 {
        tokio::task::yield_now().await;
    }
    child.kill().await.unwrap();
    site.simulation.cloud.heal();
    for _ in 0..5 {
        let output = site.run(&["run", "--once"]).await;
        assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
    }
    assert_eq!(site.simulation.cloud.counts().login_attempts, 1);
}

#[tokio::test]
async fn six_programs_at_once_log_in_once() {
    let site = Site::new();
    let runs: Vec<_> = (0..6).map(|_| site.run(&["read", "--format", "json"])).collect();
    let mut read = 0;
    for run in runs {
        // They wait for each other's lock.
        read += u32::from(run.await.status.success());
    }
    assert_eq!(read, 6);
    let mut children: Vec<Child> =
        (0..6).map(|_| site.command(&["read", "--format", "json"]).spawn().unwrap()).collect();
    for child in &mut children {
        timeout(HANG, child.wait()).await.expect("it hangs").unwrap();
    }
    assert_eq!(site.logins(), (1, 1, 1));
}

#[tokio::test]
async fn six_programs_at_once_on_an_empty_directory_log_in_once() {
    let site = Site::new();
    let mut children: Vec<Child> =
        (0..6).map(|_| site.command(&["token", "refresh"]).spawn().unwrap()).collect();
    for child in &mut children {
        timeout(HANG, child.wait()).await.expect("it hangs").unwrap();
    }
    assert_eq!(site.logins(), (1, 1, 1));
}

#[tokio::test]
async fn a_running_daemon_takes_up_a_token_that_a_command_stored() {
    let site = Site::new();
    std::fs::write(site.path("password"), "").unwrap();
    let mut child = site.command(&["run"]).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = timeout(HANG, log.next_line()).await.expect("nothing is said").unwrap().unwrap();
        if line.contains("there is no account to log in with") {
            break;
        }
    }
    let imported = site.import(&site.token(Role::Owner, Duration::from_secs(365 * 86_400))).await;
    assert!(imported.status.success());
    Daemon { child, lines }.reading().await;
    assert_eq!(site.logins(), (0, 0, 0));
}
