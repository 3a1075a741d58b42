//! Tests streams that are not read, full or closed, and a system without free resources.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Output, Stdio};

use rustix::fs::{OFlags, fcntl_setfl};
use tokio::process::Command;
use tokio::time::{Duration, sleep, timeout};

use super::site::{HANG, Site, text};

/// A full pipe, and its end that is not read.
pub(super) fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while (&writer).write(&[b'\n'; 1024]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

impl Site {
    fn polls(&self) -> u64 {
        self.gateway().counts().paths.get("/ivp/meters/readings").copied().unwrap_or_default()
    }

    /// Waits for new polls.
    async fn goes_on(&self) {
        let wanted = self.polls() + 3;
        let polled = async {
            while self.polls() < wanted {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(HANG, polled).await.expect("the gateway is not polled any more");
    }

    /// Runs `command` until the gateway has been polled a few times, and stops it as systemd does.
    async fn lives_and_ends(&self, mut command: Command) -> Output {
        let child = command.spawn().unwrap();
        self.goes_on().await;
        let pid = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap().success());
        let output = timeout(HANG, child.wait_with_output()).await.expect("SIGTERM does not end it").unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        output
    }
}

#[tokio::test]
async fn streams_that_nobody_reads_stop_neither_polls_nor_sigterm() {
    let site = Site::new();
    let manager = UnixDatagram::bind(site.path("notify")).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(b"full", site.path("notify")).is_ok() {}
    let (stdout, stderr) = (full_pipe(), full_pipe());
    let mut command = site.command(&["run"]);
    command
        .env("NOTIFY_SOCKET", site.path("notify"))
        .env("WATCHDOG_USEC", "1000000")
        .env("RUST_LOG", "trace");
    command.stdout(stdout.1).stderr(stderr.1);
    site.lives_and_ends(command).await;
    drop((manager, stdout.0, stderr.0));
}

#[tokio::test]
async fn a_log_that_is_read_late_is_complete() {
    let site = Site::new();
    let (mut reader, writer) = full_pipe();
    let mut command = site.command(&["run"]);
    command.stderr(writer).stdout(Stdio::null());
    let child = command.spawn().unwrap();
    site.goes_on().await;
    let reading = tokio::task::spawn_blocking(move || {
        let mut all = String::new();
        io::Read::read_to_string(&mut reader, &mut all).unwrap();
        all
    });
    site.goes_on().await;
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap().success());
    // Its own end of the pipe.
    drop(command);
    timeout(HANG, child.wait_with_output()).await.expect("it does not end").unwrap();
    let log = reading.await.unwrap();
    assert!(log.contains("first contact") && log.contains("the gateway accepts the new token"), "{log}");
}

#[tokio::test]
async fn a_full_disk_under_standard_output_is_said_once_and_ends_nothing() {
    for broker in ["", "[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n"] {
        let site = Site::new();
        site.configure(&format!("[stdout]\nformat = \"json\"\n{broker}"));
        let mut command = site.command(&["run"]);
        command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let log = text(&site.lives_and_ends(command).await.stderr);
        assert_eq!(log.matches("cannot write to standard output; retrying").count(), 1, "{log}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_its_output_alone_where_there_is_a_broker() {
    let site = Site::new();
    site.configure("[stdout]\nformat = \"json\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n");
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = site.command(&["run"]);
    command.stdout(writer);
    let log = text(&site.lives_and_ends(command).await.stderr);
    assert_eq!(log.matches("the reader of standard output closed it").count(), 1, "{log}");
}

#[tokio::test]
async fn one_poll_to_a_full_disk_is_a_failure_and_to_a_closed_pipe_is_none() {
    let site = Site::new();
    for arguments in [&["run", "--once"][..], &["read"]] {
        let mut command = site.command(arguments);
        command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let full = timeout(HANG, command.spawn().unwrap().wait_with_output()).await.unwrap().unwrap();
        assert_eq!(full.status.code(), Some(74), "{}", text(&full.stderr));
        let words = text(&full.stderr);
        assert!(words.contains("standard output") && words.contains("No space left"), "{words}");
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = site.command(arguments);
        command.stdout(writer);
        let closed = timeout(HANG, command.spawn().unwrap().wait_with_output()).await.unwrap().unwrap();
        assert_eq!(closed.status.code(), Some(0), "{}", text(&closed.stderr));
    }
}

/// Returns a command for the program as a user at the limit of processes. Root has no limit, so it becomes another user.
fn without_processes(site: &Site, arguments: &[&str]) -> Command {
    let is_root = rustix::process::getuid().is_root();
    let mut words = vec!["prlimit", "--nproc=1"];
    if is_root {
        words.splice(0..0, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        for open in [site.path(""), site.path("config.toml"), site.path("password")] {
            std::fs::set_permissions(open, PermissionsExt::from_mode(0o755)).unwrap();
        }
        std::fs::create_dir_all(site.path("state")).unwrap();
        std::os::unix::fs::chown(site.path("state"), Some(65534), Some(65534)).unwrap();
    }
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(crate::program()).arg("--config").arg(site.path("config.toml"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn without_a_thread_to_be_had_every_command_says_so_in_words() {
    let site = Site::new();
    let commands: [&[&str]; 7] = [
        &["run"],
        &["run", "--once"],
        &["demo"],
        &["read"],
        &["check"],
        &["discover"],
        &["token", "refresh"],
    ];
    for arguments in commands {
        let output = timeout(HANG, without_processes(&site, arguments).output()).await.unwrap().unwrap();
        let words = text(&output.stderr);
        assert_eq!(output.status.code(), Some(71), "{arguments:?}: {words}");
        assert!(words.starts_with("enphased: cannot start a thread: "), "{arguments:?}: {words}");
        assert!(words.contains("TasksMax="), "{arguments:?}: {words}");
    }
    for arguments in [&["config", "validate"][..], &["config", "example"], &["domoticz", "example"]] {
        let output = timeout(HANG, without_processes(&site, arguments).output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(site.logins(), (0, 0, 0));
}

#[tokio::test]
async fn without_descriptors_it_ends_in_words_and_may_be_started_again() {
    let site = Site::new();
    let mut refused = 0;
    for limit in 4..16 {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}")).arg(crate::program());
        command.arg("--config").arg(site.path("config.toml")).args(["run", "--once"]);
        let output = timeout(HANG, command.stdin(Stdio::null()).output()).await.unwrap().unwrap();
        let words = text(&output.stderr);
        let code = output.status.code().unwrap();
        // 127: not even the program's libraries could be opened.
        assert!([0, 71, 73, 74, 75, 127].contains(&code), "{limit} descriptors, code {code}: {words}");
        assert!(!words.contains("panicked"), "{words}");
        refused += u32::from(code == 71 && words.contains("Too many open files"));
    }
    assert!(refused > 0);
}
