//! The state directory vanishes under a running daemon, is replaced, or cannot be read: readings go on, what is in memory
//! is written again, and the log says so in a line at the beginning and one at the end.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use super::disk::Disk;
use super::site::{Daemon, HANG, Site, text};

/// A daemon whose log goes to a file. Without a history, which has a file of its own to report.
async fn daemon(site: &Site) -> Daemon {
    site.configure("[stdout]\nformat = \"json\"\n[history]\nenabled = false\n");
    let log = fs::File::create(site.path("log")).unwrap();
    let mut child = site.command(&["run"]).stderr(Stdio::from(log)).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut daemon = Daemon { child, lines };
    daemon.reading().await;
    daemon
}

/// The lines of warnings and errors since the start, and of ends.
fn said(site: &Site) -> Vec<String> {
    let log = fs::read_to_string(site.path("log")).unwrap();
    let is_news =
        |line: &&str| line.contains(" warn ") || line.contains(" error ") || line.contains(" after=");
    log.lines().filter(is_news).map(str::to_owned).collect()
}

/// Reads on until `is_so`.
async fn until(daemon: &mut Daemon, what: &str, is_so: impl Fn() -> bool) {
    let all = async {
        while !is_so() {
            daemon.reading().await;
        }
    };
    timeout(4 * HANG, all).await.unwrap_or_else(|_late| panic!("{what}"));
}

/// The files by which a restart goes on where the daemon was.
fn kept(site: &Site) -> Vec<PathBuf> {
    let serial = site.gateway().serial();
    let names =
        ["logins.json".to_owned(), format!("token-{serial}.json"), format!("token-{serial}.copy.json")];
    let more = [format!("gateway-{serial}.json"), format!("counters-{serial}.json")];
    names.into_iter().chain(more).map(|name| site.path("state").join(name)).collect()
}

fn are_there(files: &[PathBuf]) -> bool {
    files.iter().all(|file| file.exists())
}

fn make(dir: &Path) {
    fs::create_dir(dir).unwrap();
    fs::set_permissions(dir, Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_directory_that_is_deleted_and_made_again_holds_everything_again() {
    let site = Site::new();
    let mut daemon = daemon(&site).await;
    let files = kept(&site);
    until(&mut daemon, "everything is written at first", || are_there(&files)).await;
    let before = said(&site).len();
    fs::remove_dir_all(site.path("state")).unwrap();
    until(&mut daemon, "its absence is said", || said(&site).len() > before).await;
    for _ in 0..5 {
        daemon.reading().await;
    }
    make(&site.path("state"));
    until(&mut daemon, "everything is written again", || are_there(&files)).await;
    until(&mut daemon, "the end is said", || said(&site).len() > before + 1).await;
    let said = &said(&site)[before..];
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said[0].contains("No such file or directory") && said[0].contains("readings continue"),
        "{said:#?}"
    );
    assert!(said[1].contains("can be used again") && said[1].contains("after="), "{said:#?}");
    daemon.kill().await;
    self::daemon(&site).await.kill().await;
    assert_eq!(site.logins(), (1, 1, 1));
}

#[tokio::test]
async fn a_directory_that_is_replaced_by_an_empty_or_an_old_one_shortens_no_hold_off() {
    let site = Site::new();
    let refresh = async || {
        let output = site.run(&["token", "refresh", "--force"]).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    refresh().await;
    let old = site.path("old");
    make(&old);
    for entry in fs::read_dir(site.path("state")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), old.join(entry.file_name())).unwrap();
    }
    refresh().await;
    let mut daemon = daemon(&site).await;
    let files = kept(&site);
    until(&mut daemon, "everything is written at first", || are_there(&files)).await;
    let whole = || fs::read_to_string(&files[0]).is_ok_and(|text| text.matches("\"login\"").count() == 2);
    assert!(whole() && !fs::read_to_string(old.join("logins.json")).unwrap().is_empty());
    for other in [None, Some(&old)] {
        let before = said(&site).len();
        fs::rename(site.path("state"), site.path(&format!("away{}", other.is_some()))).unwrap();
        match other {
            None => make(&site.path("state")),
            Some(old) => fs::rename(old, site.path("state")).unwrap(),
        }
        until(&mut daemon, "everything is written there", || are_there(&files) && whole()).await;
        let said = &said(&site)[before..];
        let replaced = said.iter().filter(|line| line.contains("was replaced by another one")).count();
        let gone = said.iter().filter(|line| line.contains("No such file or directory")).count();
        assert_eq!(replaced + gone, 1, "{said:#?}");
    }
    daemon.kill().await;
    assert_eq!(site.logins(), (2, 2, 2));
}

#[tokio::test]
async fn a_file_system_that_is_unmounted_and_mounted_again_costs_nothing() {
    let site = Site::new();
    let Some(disk) = Disk::under(&site) else { return };
    let mut daemon = daemon(&site).await;
    let files = kept(&site);
    until(&mut daemon, "everything is written at first", || are_there(&files)).await;
    let before = said(&site).len();
    disk.unmount();
    until(&mut daemon, "everything is written below", || are_there(&files)).await;
    let said = &said(&site)[before..];
    assert!(said[0].contains("was replaced by another one"), "{said:#?}");
    daemon.kill().await;
    self::daemon(&site).await.kill().await;
    assert_eq!(site.logins(), (1, 1, 1));
}

#[tokio::test]
async fn counters_that_cannot_be_read_are_not_begun_anew_on_the_disk() {
    let site = Site::new();
    let mut first = daemon(&site).await;
    let counters = kept(&site).pop().unwrap();
    until(&mut first, "the counters are written", || counters.exists()).await;
    first.stop().await;
    // Not even root reads a directory as a file.
    let aside = site.path("aside");
    fs::rename(&counters, &aside).unwrap();
    make(&counters);
    let mut second = daemon(&site).await;
    for _ in 0..3 {
        second.reading().await;
    }
    second.stop().await;
    assert!(counters.is_dir(), "nothing else was put in its place");
    let mut third = daemon(&site).await;
    fs::remove_dir(&counters).unwrap();
    fs::rename(&aside, &counters).unwrap();
    let about = || said(&site).into_iter().filter(|line| line.contains("counters-")).collect::<Vec<_>>();
    until(&mut third, "the end is said", || about().len() > 1).await;
    third.stop().await;
    let about = about();
    assert_eq!(about.len(), 2, "{about:#?}");
    assert!(about[0].contains("cannot read") && about[1].contains("can be used again"), "{about:#?}");
    assert_eq!(site.logins(), (1, 1, 1));
}
