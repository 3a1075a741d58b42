//! Tests concurrent commands, commands during a daemon, removed files, and a stop in the middle of a login.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::Duration;

use enphased::simulator::{Condition, Fault, LOGIN, TOKENS};
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::site::{HANG, Site, text};

const SECOND: Duration = Duration::from_secs(1);

/// Waits until the cloud has handled this many requests.
async fn requests(site: &Site, number: u64) {
    let mut arrived = site.simulation.cloud.arrived();
    timeout(HANG, arrived.wait_for(|count| *count >= number)).await.expect("it is not asked").unwrap();
}

async fn ended(child: Child) -> Output {
    timeout(HANG, child.wait_with_output()).await.expect("it does not end").unwrap()
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let kill = tokio::process::Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
    assert!(kill.success());
}

#[tokio::test]
async fn commands_that_insist_at_once_make_one_login() {
    let site = Site::new();
    // Long enough for all of them to start.
    site.simulation.cloud.fail(Fault::Delay(4 * SECOND).at(LOGIN));
    for round in 1..=2 {
        let mut commands = JoinSet::new();
        for _ in 0..4 {
            commands.spawn(ended(site.command(&["token", "refresh", "--force"]).spawn().unwrap()));
        }
        for output in commands.join_all().await {
            let (said, log) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{said}{log}");
            assert!(said.contains("A new token was stored"), "{said}");
        }
        assert_eq!(site.logins(), (round, round, round));
    }
}

#[tokio::test]
async fn a_command_that_insists_beside_the_daemon_s_login_takes_the_daemon_s_token() {
    let site = Site::new();
    site.simulation.cloud.fail(Fault::Delay(2 * SECOND).at(LOGIN));
    let daemon = site.command(&["run"]).spawn().unwrap();
    requests(&site, 1).await;
    let command = site.run(&["token", "refresh", "--force"]).await;
    let said = text(&command.stdout);
    assert!(command.status.success() && said.contains("A new token was stored"), "{}", text(&command.stderr));
    assert_eq!(site.logins(), (1, 1, 1));
    signal(&daemon, "TERM").await;
    ended(daemon).await;
    // Without another process it forces a login as before.
    assert!(site.run(&["token", "refresh", "--force"]).await.status.success());
    assert_eq!(site.logins(), (2, 2, 2));
}

#[tokio::test]
async fn a_daemon_writes_its_token_again_that_somebody_removes_and_forgets_what_is_forgotten() {
    let site = Site::new();
    let mut daemon = site.daemon().await;
    let serial = site.gateway().serial();
    let files = [format!("state/token-{serial}.json"), format!("state/token-{serial}.copy.json")];
    for removed in [vec![0, 1], vec![0], vec![1, 0]] {
        for file in &removed {
            fs::remove_file(site.path(&files[*file])).unwrap();
        }
        fs::remove_file(site.path("state/logins.json")).unwrap();
        for _ in 0..4 {
            daemon.reading().await;
        }
        assert!(site.path(&files[0]).exists() && site.path("state/logins.json").exists(), "{removed:?}");
    }
    // Unknown fields of a later version are not damage.
    let text = fs::read_to_string(site.path(&files[0])).unwrap();
    for file in &files {
        fs::write(site.path(file), text.replace("\"login\"", "\"passkey\"").replace('{', "{\"later\":1,"))
            .unwrap();
    }
    daemon.reading().await;
    daemon.stop().await;
    let daemon = site.daemon().await;
    assert_eq!(site.logins(), (1, 1, 1));
    // `token forget` removes the token permanently.
    assert!(site.run(&["token", "forget"]).await.status.success());
    let mut arrived = site.gateway().arrived();
    let now = *arrived.borrow();
    timeout(HANG, arrived.wait_for(|count| *count >= now + 8)).await.expect("it does not poll").unwrap();
    assert!(!site.path(&files[0]).exists(), "it does not come back");
    assert_eq!(site.logins(), (1, 1, 1), "one login a day");
    daemon.kill().await;
}

#[tokio::test]
async fn a_serial_number_that_nobody_knows_costs_no_login() {
    let site = Site::new();
    let serial = site.gateway().serial();
    for force in [&["--force"][..], &[]] {
        let arguments = [&["token", "refresh", "--gateway", "122300000099"], force].concat();
        let output = site.run(&arguments).await;
        assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("is not known"), "{}", text(&output.stderr));
    }
    assert_eq!(site.logins(), (0, 0, 0));
    // A gateway that responds is known.
    assert!(site.run(&["token", "refresh", "--gateway", &serial]).await.status.success());
    let typo = site.run(&["token", "refresh", "--force", "--gateway", "122300000099"]).await;
    assert_eq!(typo.status.code(), Some(64));
    assert!(text(&typo.stderr).contains(&serial), "the known one is named: {}", text(&typo.stderr));
    // A gateway that has responded before is known even while it is unreachable.
    site.gateway().set_condition(Condition::Refusing);
    let status = site.run(&["token", "status", "--gateway", &serial]).await;
    assert!(status.status.success(), "{}", text(&status.stderr));
    assert_eq!(site.logins(), (1, 1, 1));
}

/// Stops a command while it waits for a response.
async fn stopped_within(step: &str, arguments: &[&str]) {
    let site = Site::new();
    // Longer than the time limit for the other tasks.
    site.simulation.cloud.fail(Fault::Delay(10 * SECOND).at(step).once());
    let child = site.command(arguments).spawn().unwrap();
    requests(&site, if step == LOGIN { 1 } else { 2 }).await;
    signal(&child, "TERM").await;
    let output = ended(child).await;
    let log = text(&output.stderr);
    assert!(
        log.contains("for the response to a request to the Enphase cloud"),
        "{arguments:?} {step}: {log}"
    );
    let counts = site.simulation.cloud.counts();
    assert_eq!((counts.login_attempts, counts.logins), (1, 1), "{arguments:?} {step}: {log}");
    // The next start continues where this one ended.
    let next = site.run(&["run", "--once"]).await;
    assert!(next.status.success(), "{arguments:?} {step}: {}", text(&next.stderr));
    assert_eq!(site.logins(), (1, 1, 1), "{arguments:?} {step}");
}

#[tokio::test]
async fn a_login_that_is_under_way_at_a_stop_is_waited_for() {
    let mut stops = JoinSet::new();
    for step in [LOGIN, TOKENS] {
        stops.spawn(stopped_within(step, &["run"]));
        stops.spawn(stopped_within(step, &["run", "--once"]));
        stops.spawn(stopped_within(step, &["read"]));
    }
    stops.join_all().await;
}

#[tokio::test]
async fn a_second_signal_waits_for_nobody() {
    let site = Site::new();
    site.simulation.cloud.fail(Fault::Hang.at(LOGIN));
    let mut child = site.command(&["run"]).spawn().unwrap();
    requests(&site, 1).await;
    signal(&child, "TERM").await;
    let mut log = tokio::io::BufReader::new(child.stderr.take().unwrap());
    let said = async {
        use tokio::io::AsyncBufReadExt;
        let mut line = String::new();
        while !line.contains("for the response to a request to the Enphase cloud") {
            line.clear();
            assert!(log.read_line(&mut line).await.unwrap() > 0, "it ends");
        }
    };
    timeout(HANG, said).await.expect("nothing is said");
    signal(&child, "INT").await;
    // Without the second signal it would take a minute.
    let status = timeout(HANG, child.wait()).await.expect("it does not end").unwrap();
    assert_eq!(status.code(), Some(0));
    site.simulation.cloud.heal();
    let next = site.run(&["run", "--once"]).await;
    assert!(text(&next.stderr).contains("interrupted"), "{}", text(&next.stderr));
    assert_eq!(site.simulation.cloud.counts().login_attempts, 1);
}

#[tokio::test]
async fn a_state_directory_that_may_not_be_read_is_no_gateway_that_is_away() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    fs::set_permissions(site.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(site.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(site.path("password"), fs::Permissions::from_mode(0o644)).unwrap();
    // Nobody's programs have to be where nobody may go.
    let program = site.path("enphased");
    fs::copy(crate::program(), &program).unwrap();
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can start a program as somebody else");
        return;
    }
    for arguments in
        [&["status"][..], &["refresh"], &["refresh", "--force"], &["forget"], &["status", "--gateway", "1"]]
    {
        let mut command = tokio::process::Command::new(&program);
        command.env_clear().uid(65534).gid(65534).arg("--config").arg(site.path("config.toml"));
        let output = command.arg("token").args(arguments).stdin(std::process::Stdio::null()).output();
        let output = timeout(HANG, output).await.expect("the program hangs").unwrap();
        let words = text(&output.stderr);
        assert!(
            words.contains("ermission denied") && words.contains("sudo enphased"),
            "{arguments:?}: {words}"
        );
        assert!(!words.contains("does not answer") && !output.status.success(), "{arguments:?}: {words}");
    }
    assert_eq!(site.logins(), (1, 1, 1));
}
