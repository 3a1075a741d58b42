//! Tests commands of root in the state directory of another user, who has put traps there: root becomes that user, touches
//! nothing outside, and does not hang.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use enphased::simulator::Role;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::geteuid;
use tokio::process::Command;
use tokio::time::timeout;

use super::site::{HANG, Site, text};

/// A user without an account, as systemd allocates them.
const OTHER: u32 = 64_321;
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Creates a site whose state directory belongs to another user; `None` if that is not permitted.
fn site() -> Option<Site> {
    if !geteuid().is_root() {
        println!("skipped: only root can be lured");
        return None;
    }
    let site = Site::new();
    make_state(&site.path("state"));
    // Only root can read it, as with a credential of the unit.
    fs::set_permissions(site.path("password"), Permissions::from_mode(0o600)).unwrap();
    Some(site)
}

fn make_state(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
    chown(path, Some(OTHER), Some(OTHER)).unwrap();
}

/// The commands that use the state directory.
const COMMANDS: [&[&str]; 11] = [
    &["read"],
    &["run", "--once"],
    &["check"],
    &["check", "--bundle"],
    &["gateway", "trust", "--yes"],
    &["config", "validate", "--reload"],
    &["token", "status"],
    &["token", "refresh"],
    &["token", "refresh", "--force"],
    &["token", "import"],
    &["token", "forget"],
];

async fn run(site: &Site, arguments: &[&str]) -> Output {
    if arguments == ["token", "import"] {
        site.import(&site.token(Role::Owner, YEAR)).await
    } else {
        site.run(arguments).await
    }
}

/// The file names that the program uses in its directory.
fn names(site: &Site) -> Vec<String> {
    let serial = site.gateway().serial();
    let plain = ["login.lock", "daemon.lock", "logins.json", "check.tmp"].map(str::to_owned);
    let of_gateway = [
        "token-#.json",
        "token-#.copy.json",
        "gateway-#.json",
        "gateway-#.copy.json",
        "counters-#.json",
        "announced-#.json",
    ];
    let named: Vec<String> =
        plain.into_iter().chain(of_gateway.iter().map(|name| name.replace('#', &serial))).collect();
    named.iter().flat_map(|name| [name.clone(), format!("{name}.damaged")]).collect()
}

/// The files that only root may change.
struct Treasure {
    file: PathBuf,
    missing: PathBuf,
}

impl Treasure {
    fn new(site: &Site) -> Self {
        let dir = site.path("roots");
        fs::create_dir_all(&dir).unwrap();
        let (file, missing) = (dir.join("file"), dir.join("missing"));
        fs::write(&file, "root's own").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        Self { file, missing }
    }

    fn expect_untouched(&self, when: &str) {
        assert_eq!(fs::read_to_string(&self.file).unwrap(), "root's own", "{when}");
        let data = fs::metadata(&self.file).unwrap();
        assert_eq!((data.uid(), data.gid(), data.mode() & 0o7777), (0, 0, 0o644), "{when}");
        assert!(!self.missing.exists(), "{when}");
        let around = fs::metadata(self.file.parent().unwrap()).unwrap();
        assert_eq!((around.uid(), around.gid()), (0, 0), "{when}");
    }
}

type Trap = fn(&Treasure, &Path);

const TRAPS: [(&str, Trap); 6] = [
    ("a link to a file", |treasure, path| symlink(&treasure.file, path).unwrap()),
    ("a link to what is missing", |treasure, path| symlink(&treasure.missing, path).unwrap()),
    ("a link to a directory", |treasure, path| symlink(treasure.file.parent().unwrap(), path).unwrap()),
    ("a hard link", |treasure, path| fs::hard_link(&treasure.file, path).unwrap()),
    ("a FIFO", |_, path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap()),
    ("a link to a device", |_, path| symlink("/dev/zero", path).unwrap()),
];

#[tokio::test]
async fn what_traps_in_the_directory_lead_to_is_not_touched() {
    for (kind, trap) in TRAPS {
        let Some(site) = site() else { return };
        let treasure = Treasure::new(&site);
        for arguments in COMMANDS {
            for name in names(&site) {
                let path = site.path("state").join(name);
                fs::remove_file(&path).ok();
                trap(&treasure, &path);
                lchown(&path, Some(OTHER), Some(OTHER)).unwrap();
                if kind == "a hard link" {
                    chown(&treasure.file, Some(0), Some(0)).unwrap();
                }
            }
            run(&site, arguments).await;
            treasure.expect_untouched(&format!("{kind}, {arguments:?}"));
        }
    }
}

#[tokio::test]
async fn a_trap_in_the_place_of_one_lock_is_named_and_costs_no_login() {
    let Some(site) = site() else { return };
    let treasure = Treasure::new(&site);
    let lock = site.path("state").join("login.lock");
    symlink(&treasure.file, &lock).unwrap();
    let output = site.run(&["token", "refresh"]).await;
    assert_eq!(output.status.code(), Some(73), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("it is a symbolic link, not a regular file"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(site.logins(), (0, 0, 0));
    fs::remove_file(&lock).unwrap();
    let output = site.run(&["token", "refresh"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(site.logins(), (1, 1, 1));
}

/// Checks that everything in the state directory belongs to its owner and is closed to others.
fn expect_owned(state: &Path) {
    let mut files = 0;
    for entry in fs::read_dir(state).unwrap() {
        let entry = entry.unwrap();
        let data = entry.metadata().unwrap();
        assert_eq!(
            (data.uid(), data.gid(), data.mode() & 0o777),
            (OTHER, OTHER, 0o600),
            "{:?}",
            entry.file_name()
        );
        files += 1;
    }
    assert!(files > 3);
}

#[tokio::test]
async fn every_command_works_for_the_owner_and_with_a_password_that_only_root_can_read() {
    let Some(site) = site() else { return };
    let output = site.run(&["token", "refresh"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(site.logins(), (1, 1, 1));
    for arguments in COMMANDS {
        let output = run(&site, arguments).await;
        let told = format!("{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        let held_off = arguments == ["token", "refresh"];
        assert!(output.status.success() || held_off, "{told}");
        expect_owned(&site.path("state"));
    }
}

#[tokio::test]
async fn a_token_is_imported_from_a_file_that_only_root_can_read() {
    let Some(site) = site() else { return };
    let file = site.path("token");
    fs::write(&file, site.token(Role::Owner, YEAR)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let output = site.run(&["token", "import", file.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    expect_owned(&site.path("state"));
}

#[tokio::test]
async fn a_daemon_of_root_runs_as_the_owner_of_the_directory() {
    let Some(site) = site() else { return };
    let mut daemon = site.daemon().await;
    let ids = format!("\t{OTHER}\t{OTHER}\t{OTHER}\t{OTHER}");
    for thread in fs::read_dir(format!("/proc/{}/task", daemon.child.id().unwrap())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let has = |line: &str| status.lines().any(|it| it.trim_end() == line);
        assert!(has(&format!("Uid:{ids}")) && has(&format!("Gid:{ids}")), "{status}");
        assert!(has("Groups:") && has("CapEff:\t0000000000000000"), "{status}");
    }
    daemon.reading().await;
    assert_eq!(daemon.stop().await, Some(0));
    expect_owned(&site.path("state"));
}

/// Moves the state directory to where systemd puts that of a dynamic user, with a link in its place.
fn as_systemd_does(site: &Site) {
    let private = site.path("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
    fs::rename(site.path("state"), private.join("state")).unwrap();
    symlink("private/state", site.path("state")).unwrap();
}

#[tokio::test]
async fn the_link_that_systemd_makes_is_followed_and_one_of_another_user_is_not() {
    let Some(site) = site() else { return };
    as_systemd_does(&site);
    let output = site.import(&site.token(Role::Owner, YEAR)).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    expect_owned(&site.path("private/state"));
    let report = text(&site.run(&["check", "--bundle"]).await.stdout);
    let token = format!("token-{}.json", "<serial 1>");
    assert!(
        report.contains(&token) && report.contains("mode 600"),
        "what only root could reach by its path: {report}"
    );

    // A directory of root, to which another user has made the path lead.
    let roots = site.path("roots");
    fs::create_dir(&roots).unwrap();
    fs::remove_file(site.path("state")).unwrap();
    symlink(&roots, site.path("state")).unwrap();
    lchown(site.path("state"), Some(OTHER), Some(OTHER)).unwrap();
    for arguments in COMMANDS {
        let output = run(&site, arguments).await;
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(
            told.contains(&format!("which belongs to user {OTHER}")) || arguments.contains(&"--bundle"),
            "{told}"
        );
        assert_eq!(fs::read_dir(&roots).unwrap().count(), 0, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_directory_is_made_by_the_owner_of_the_one_around_it() {
    let Some(site) = site() else { return };
    fs::remove_dir(site.path("state")).unwrap();
    let home = site.path("home");
    make_state(&home);
    let text_of_config = fs::read_to_string(site.path("config.toml")).unwrap();
    let below = home.join("deep/state");
    let changed = text_of_config.replace(site.path("state").to_str().unwrap(), below.to_str().unwrap());
    fs::write(site.path("config.toml"), changed).unwrap();
    let output = site.import(&site.token(Role::Owner, YEAR)).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    expect_owned(&below);
    assert_eq!(fs::metadata(home.join("deep")).unwrap().uid(), OTHER);
}

#[tokio::test]
async fn root_that_cannot_become_the_owner_touches_nothing() {
    let Some(site) = site() else { return };
    for arguments in COMMANDS {
        let whole = site.command(arguments);
        let whole = whole.as_std();
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-setuid,-setgid"]).arg(whole.get_program()).args(whole.get_args());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let Ok(output) = timeout(HANG, command.output()).await.expect("the program hangs") else {
            println!("skipped: there is no setpriv to take a capability away");
            return;
        };
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(told.contains("root cannot switch to that user"), "{arguments:?}: {told}");
        assert_eq!(fs::read_dir(site.path("state")).unwrap().count(), 0, "{arguments:?}");
    }
}

/// As under systemd: the path leads through a directory that only root may enter, and SQLite follows paths itself.
#[tokio::test]
async fn root_shows_the_history_of_a_directory_that_its_owner_cannot_reach_by_the_path() {
    let Some(site) = site() else { return };
    let mut daemon = site.daemon().await;
    daemon.reading().await;
    assert_eq!(daemon.stop().await, Some(0));
    let state = site.path("state");
    let data = fs::metadata(state.join("history.db")).unwrap();
    assert_eq!((data.uid(), data.mode() & 0o777), (OTHER, 0o600));
    // The directory above the state directory is that of the site.
    fs::set_permissions(site.path("."), Permissions::from_mode(0o700)).unwrap();
    let shown = site.run(&["history", "--format", "json"]).await;
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["values"].as_array().unwrap().len(), 1, "{shown}");
    let owners: Vec<u32> =
        fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().metadata().unwrap().uid()).collect();
    assert!(owners.iter().all(|owner| *owner == OTHER), "{owners:?}");
}
