//! Tests a state directory that becomes full or read-only: no login without a record, and readings continue.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{self, Output, Stdio};
use std::time::Duration;

use enphased::simulator::Role;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::site::{Daemon, HANG, Site, text};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A small file system for the state directory. Only root may mount one.
pub(super) struct Disk {
    dir: PathBuf,
}

fn mount(arguments: &[&str], dir: &PathBuf) -> bool {
    let mut command = process::Command::new("mount");
    command.args(arguments).arg(dir).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Disk {
    /// Mounts the file system; returns `None` if that is not permitted.
    pub(super) fn under(site: &Site) -> Option<Self> {
        let dir = site.path("state");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=768k,mode=0700", "enphased-test"], &dir);
        if !mounted {
            println!(
                "only root can mount a file system: this part is left to those who run the tests as root"
            );
        }
        mounted.then_some(Self { dir })
    }

    fn fill(&self) {
        let mut ballast = fs::File::create(self.dir.join("ballast")).unwrap();
        while ballast.write_all(&[0; 512]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.dir.join("ballast")).unwrap();
    }

    /// Puts a read-only view of the directory over it: the file system itself cannot be made so while the daemon
    /// holds its lock there.
    fn protect(&self) {
        let dir = self.dir.to_str().unwrap();
        assert!(mount(&["--bind", dir], &self.dir));
        assert!(mount(&["-o", "remount,ro,bind"], &self.dir));
    }

    fn allow(&self) {
        self.unmount();
    }

    pub(super) fn unmount(&self) {
        process::Command::new("umount").arg("-l").arg(&self.dir).stderr(Stdio::null()).status().ok();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A view that a failed test has left, and the file system.
        self.unmount();
        self.unmount();
    }
}

/// Returns the command in a shell with a limit on file sizes, which acts like a full disk without a mount.
async fn without_room(site: &Site, arguments: &[&str]) -> Output {
    let whole = site.command(arguments);
    let whole = whole.as_std();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 0; exec \"$@\"", "sh"]).arg(whole.get_program());
    command.args(whole.get_args()).env_clear().env("HOME", site.dir.path()).stdin(Stdio::null());
    timeout(HANG, command.output()).await.expect("the program hangs").unwrap()
}

#[tokio::test]
async fn where_no_file_can_grow_there_is_no_login_and_the_token_there_is_serves() {
    let site = Site::new();
    for _ in 0..5 {
        let output = without_room(&site, &["run", "--once"]).await;
        let log = text(&output.stderr);
        assert!(!output.status.success());
        assert!(log.contains("raise the limit on file sizes") && log.contains("logins pause"), "{log}");
    }
    let refresh = without_room(&site, &["token", "refresh", "--force"]).await;
    assert_eq!(refresh.status.code(), Some(73), "{}", text(&refresh.stderr));
    assert_eq!(site.logins(), (0, 0, 0));
    assert!(site.import(&site.token(Role::Owner, YEAR)).await.status.success());
    for _ in 0..3 {
        let output = without_room(&site, &["run", "--once"]).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("\"schema\":1"));
    }
    assert_eq!(site.logins(), (0, 0, 0));
}

#[tokio::test]
async fn a_disk_that_is_full_before_the_login_holds_it_back_until_there_is_room() {
    let site = Site::new();
    let Some(disk) = Disk::under(&site) else { return };
    disk.fill();
    let mut child = site.command(&["run"]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = timeout(HANG, log.next_line()).await.expect("nothing is said").unwrap().unwrap();
        if line.contains("no login is made without a record of it on disk") {
            assert!(line.contains("make room on the disk"), "{line}");
            break;
        }
    }
    let mut asked = site.gateway().arrived();
    let seen = *asked.borrow();
    asked.wait_for(|count| *count >= seen + 2).await.unwrap();
    assert_eq!(site.logins(), (0, 0, 0));
    disk.make_room();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut daemon = Daemon { child, lines };
    daemon.reading().await;
    assert_eq!(site.logins(), (1, 1, 1));
    daemon.kill().await;
}

/// Checks a running daemon while nothing can be written; `words` are the system's reason.
async fn unwritable(site: &Site, daemon: &mut Daemon, words: &str) {
    for _ in 0..3 {
        daemon.reading().await;
    }
    let refresh = site.run(&["token", "refresh", "--force"]).await;
    assert_eq!(refresh.status.code(), Some(73), "{}", text(&refresh.stderr));
    assert!(text(&refresh.stderr).contains(words), "{}", text(&refresh.stderr));
    let import = site.import(&site.token(Role::Owner, YEAR)).await;
    assert_eq!(import.status.code(), Some(73), "{}", text(&import.stderr));
    let read = site.run(&["read", "--format", "json"]).await;
    assert!(read.status.success(), "{}", text(&read.stderr));
    assert_eq!(site.logins(), (1, 1, 1), "no login without its record");
}

#[tokio::test]
async fn a_disk_that_fills_up_or_turns_read_only_under_a_daemon_costs_no_login_and_no_reading() {
    let site = Site::new();
    let Some(disk) = Disk::under(&site) else { return };
    let mut daemon = site.daemon().await;
    disk.fill();
    unwritable(&site, &mut daemon, "make room on the disk").await;
    daemon.kill().await;
    let mut daemon = site.daemon().await;
    disk.make_room();
    daemon.reading().await;
    disk.protect();
    unwritable(&site, &mut daemon, "the file system is read-only").await;
    daemon.kill().await;
    let daemon = site.daemon().await;
    disk.allow();
    daemon.stop().await;
    site.daemon().await.stop().await;
    assert_eq!(site.logins(), (1, 1, 1));
}

/// The daemon writes the history at its end, so a stop is a write.
#[tokio::test]
async fn a_disk_that_is_full_or_read_only_costs_only_the_history_and_it_goes_on_when_there_is_room() {
    let site = Site::new();
    let Some(disk) = Disk::under(&site) else { return };
    let history = site.path("state").join("history.db");
    let mut daemon = site.daemon().await;
    disk.fill();
    daemon.reading().await;
    daemon.stop().await;
    assert!(!history.exists() || rows(&site).await.is_empty(), "there was no room");
    disk.make_room();
    for _ in 0..2 {
        let mut daemon = site.daemon().await;
        daemon.reading().await;
        daemon.stop().await;
    }
    let before = rows(&site).await;
    assert!(before.lines().count() > 1, "{before}");
    disk.protect();
    let mut daemon = site.daemon().await;
    daemon.reading().await;
    daemon.stop().await;
    disk.allow();
    assert_eq!(rows(&site).await, before);
    let mut daemon = site.daemon().await;
    daemon.reading().await;
    daemon.stop().await;
    assert!(rows(&site).await.lines().count() > 1);
    assert!(!site.path("state").join("history.db.damaged").exists());
}

/// Returns the days that `enphased history` shows, without the time up to which they are counted.
async fn rows(site: &Site) -> String {
    let shown = site.run(&["history", "--format", "csv"]).await;
    if !shown.status.success() {
        assert!(text(&shown.stderr).contains("there is no history yet"), "{}", text(&shown.stderr));
        return String::new();
    }
    text(&shown.stdout)
}
