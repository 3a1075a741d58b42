//! Tests the interface of the daemon to systemd and to a pipe: readiness, reload, signals, the journal.

use std::os::unix::net::UnixDatagram;

use enphased::simulator::Condition;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::site::{Daemon, HANG, Site, text};

#[tokio::test]
async fn systemd_hears_ready_status_and_stopping() {
    let site = Site::new();
    site.gateway().set_condition(Condition::Refusing);
    let socket = UnixDatagram::bind(site.path("notify")).unwrap();
    socket.set_read_timeout(Some(HANG)).unwrap();
    let mut command = site.command(&["run"]);
    command.env("NOTIFY_SOCKET", site.path("notify")).env("WATCHDOG_USEC", "1000000");
    let mut child = command.spawn().unwrap();
    let hear = |wanted: &'static str| {
        let socket = socket.try_clone().unwrap();
        tokio::task::spawn_blocking(move || {
            let mut buffer = [0; 4096];
            loop {
                let length = socket.recv(&mut buffer).expect("systemd hears nothing");
                let line = text(&buffer[..length]);
                if line.contains(wanted) {
                    return line;
                }
            }
        })
    };
    hear("READY=1").await.unwrap();
    hear("did not respond").await.unwrap();
    hear("WATCHDOG=1").await.unwrap();
    site.gateway().heal();
    let status = hear("from the sun").await.unwrap();
    assert!(status.starts_with("STATUS="), "{status}");
    let pid = child.id().unwrap().to_string();
    Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap();
    hear("STOPPING=1").await.unwrap();
    assert_eq!(timeout(HANG, child.wait()).await.unwrap().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_hangup_reads_the_configuration_again_and_a_bad_one_is_refused() {
    let site = Site::new();
    let mut child = site.command(&["run"]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut daemon = Daemon { child, lines };
    daemon.reading().await;
    site.configure("[stdout]\nfromat = \"influx\"\n");
    daemon.signal("HUP").await;
    loop {
        let line = timeout(HANG, log.next_line()).await.expect("nothing is said").unwrap().unwrap();
        if line.contains("did you mean `format`?") {
            break;
        }
    }
    daemon.reading().await;
    site.configure("[stdout]\nformat = \"influx\"\n");
    daemon.signal("HUP").await;
    lines = daemon.lines;
    loop {
        let line = timeout(HANG, lines.next_line()).await.expect("no reading").unwrap().unwrap();
        if line.starts_with("enphase") {
            break;
        }
    }
    assert_eq!(site.logins(), (1, 1, 1), "a new configuration costs no login");
    daemon.child.kill().await.unwrap();
}

#[tokio::test]
async fn a_second_daemon_on_the_same_directory_is_told_so() {
    let site = Site::new();
    let first = site.daemon().await;
    let second = site.run(&["run"]).await;
    assert_eq!(second.status.code(), Some(75));
    assert!(text(&second.stderr).contains("another enphased is using"), "{}", text(&second.stderr));
    first.stop().await;
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_daemon_quietly() {
    let site = Site::new();
    let mut daemon = site.daemon().await;
    drop(daemon.lines);
    let status = timeout(HANG, daemon.child.wait()).await.expect("it does not end").unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn the_journal_is_told_the_priority_of_each_line() {
    use std::os::unix::fs::MetadataExt;
    let site = Site::new();
    let log = std::fs::File::create(site.path("log")).unwrap();
    let file = log.metadata().unwrap();
    for _ in 0..2 {
        let mut command = site.command(&["run", "--once"]);
        command.env("JOURNAL_STREAM", format!("{}:{}", file.dev(), file.ino()));
        command.stderr(log.try_clone().unwrap());
        timeout(HANG, command.status()).await.expect("the program hangs").unwrap();
        site.gateway().set_condition(Condition::Refusing);
    }
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert!(log.contains("<6>logging in to the Enphase cloud"), "{log}");
    assert!(log.contains("<4>the gateway at"), "{log}");
}
