//! The built program, as a user and as systemd start it: against the simulated cloud and gateway on the real
//! clock.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use enphased::clock::Clock;
use enphased::simulator::{
    Answer, Condition, Fault, Gateway, GatewayOptions, LOGIN, Pages, Role, Simulation, SimulationOptions,
    mint_token,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// No step takes this long, on however slow a machine; only a hang does.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// A house on the real clock, and a directory for the program in it.
pub(crate) struct Site {
    pub(crate) simulation: Simulation,
    dir: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::of(SimulationOptions::default())
    }

    pub(crate) fn of(options: SimulationOptions) -> Self {
        let simulation = Simulation::start(&Clock::system(), options).unwrap();
        let site = Self { simulation, dir: tempfile::tempdir().unwrap() };
        site.configure("[stdout]\nformat = \"json\"\n");
        std::fs::write(site.path("password"), format!("{}\n", Simulation::PASSWORD)).unwrap();
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.simulation.gateways[0]
    }

    fn configure(&self, extra: &str) {
        let text = format!(
            "state_dir = {:?}\n[cloud]\nusername = {:?}\npassword_file = {:?}\nenlighten_url = {:?}\n\
             entrez_url = {:?}\n[[gateway]]\naddress = {:?}\ninterval = \"1s\"\n{extra}",
            self.path("state"),
            Simulation::EMAIL,
            self.path("password"),
            self.simulation.cloud.enlighten_url(),
            self.simulation.cloud.entrez_url(),
            self.simulation.gateways[0].address(),
        );
        std::fs::write(self.path("config.toml"), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::program());
        command.env_clear().env("HOME", self.dir.path()).arg("--config").arg(self.path("config.toml"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        timeout(HANG, self.command(arguments).output()).await.expect("the program hangs").unwrap()
    }

    async fn import(&self, token: &str) -> Output {
        let mut child = self.command(&["token", "import"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(token.as_bytes()).await.unwrap();
        timeout(HANG, child.wait_with_output()).await.expect("the program hangs").unwrap()
    }

    fn token(&self, role: Role, lifetime: Duration) -> String {
        mint_token(&self.gateway().serial(), role, Clock::system().now(), lifetime)
    }

    /// A daemon that has written its first reading.
    async fn daemon(&self) -> Daemon {
        let mut child = self.command(&["run"]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut daemon = Daemon { child, lines };
        daemon.reading().await;
        daemon
    }

    fn logins(&self) -> (u64, u64, u64) {
        let counts = self.simulation.cloud.counts();
        (counts.login_attempts, counts.logins, counts.tokens)
    }
}

struct Daemon {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Daemon {
    /// The next reading.
    async fn reading(&mut self) -> serde_json::Value {
        let line = timeout(HANG, self.lines.next_line()).await.expect("no reading").unwrap();
        serde_json::from_str(&line.expect("the daemon ended")).unwrap()
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }

    /// Ends it as systemd does; gives its exit code.
    async fn stop(mut self) -> Option<i32> {
        self.signal("TERM").await;
        timeout(HANG, self.child.wait()).await.expect("it does not end").unwrap().code()
    }

    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn secrets_in(text: &str) -> bool {
    text.contains("eyJ") || text.contains(Simulation::PASSWORD)
}

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
    site.simulation.cloud.fail(Fault::Says(Answer::json(200, r#"{"message":"Too many active sessions.."}"#)));
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
        // Started one after the other, they wait for each other's lock.
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
async fn systemd_hears_ready_status_and_stopping() {
    let site = Site::new();
    site.gateway().suffer(Condition::Refusing);
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
    hear("did not answer").await.unwrap();
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

#[tokio::test]
async fn a_second_daemon_on_the_same_directory_is_told_so() {
    let site = Site::new();
    let first = site.daemon().await;
    let second = site.run(&["run"]).await;
    assert_eq!(second.status.code(), Some(75));
    assert!(text(&second.stderr).contains("another enphased is running on"), "{}", text(&second.stderr));
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
async fn a_password_that_is_wrong_is_refused_in_words() {
    let site = Site::new();
    std::fs::write(site.path("password"), "wrong").unwrap();
    let first = site.run(&["token", "refresh"]).await;
    assert_eq!(first.status.code(), Some(77));
    assert!(
        text(&first.stderr).contains("it refused the e-mail address or the password"),
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
    assert!(words.contains("one a day is the most") && words.contains("--force"), "{words}");
    assert_eq!(site.logins(), (1, 1, 1));
    let forced = site.run(&["token", "refresh", "--force"]).await;
    assert!(forced.status.success(), "{}", text(&forced.stderr));
    assert!(text(&forced.stdout).contains("locked for a day"));
    assert_eq!(site.logins(), (2, 2, 2));
}

#[tokio::test]
async fn an_import_explains_what_it_got() {
    let site = Site::new();
    let installer = site.import(&site.token(Role::Installer, Duration::from_secs(12 * 3600))).await;
    let words = text(&installer.stdout);
    assert!(installer.status.success(), "{words}");
    assert!(
        words.contains("for its installer") && words.contains("12 h") && words.contains("not renewed"),
        "{words}"
    );
    let year = Duration::from_secs(365 * 86_400);
    let other = mint_token("999900000001", Role::Owner, Clock::system().now(), year);
    let other = site.import(&other).await;
    assert_eq!(other.status.code(), Some(65));
    assert!(text(&other.stderr).contains("for another gateway than yours"), "{}", text(&other.stderr));
    let none = site.import("hello").await;
    assert_eq!(none.status.code(), Some(65));
    assert!(text(&none.stderr).contains("this is no token"), "{}", text(&none.stderr));
    assert_eq!(site.logins(), (0, 0, 0));
    let status = text(&site.run(&["token", "status"]).await.stdout);
    assert!(status.contains("installer"), "the token of before is still there: {status}");
}

#[tokio::test]
async fn a_changed_key_is_accepted_by_gateway_trust() {
    let site = Site::new();
    assert!(site.run(&["read"]).await.status.success());
    site.gateway().suffer(Condition::ReplacedKey);
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
    assert_eq!(before.status.code(), Some(77), "{words}");
    assert!(words.contains("WRONG  token"), "{words}");
    assert_eq!(site.logins(), (0, 0, 0));
    assert!(site.run(&["token", "refresh"]).await.status.success());
    let after = site.run(&["check"]).await;
    let words = text(&after.stdout);
    assert!(after.status.success() && !words.contains("WRONG"), "{words}");
    assert_eq!(site.logins(), (1, 1, 1));
    site.gateway().suffer(Condition::Refusing);
    let away = site.run(&["check"]).await;
    assert_eq!(away.status.code(), Some(75));
    assert!(text(&away.stdout).contains("WRONG  gateway"), "{}", text(&away.stdout));
}

#[tokio::test]
async fn a_gateway_that_is_another_program_is_told_from_a_gateway() {
    let site = Site::new();
    for (fault, words) in [
        (Fault::Html, "not an Enphase gateway"),
        (Fault::Huge, "longer than"),
        (Fault::Redirect, "redirects"),
        (Fault::Says(Answer::empty(200)), "/info"),
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
async fn no_secret_reaches_an_output_or_an_open_file() {
    let gateways = vec![GatewayOptions::new(Pages::battery())];
    let site = Site::of(SimulationOptions { gateways, ..SimulationOptions::default() });
    let mut said = String::new();
    for arguments in [
        &["run", "--once"][..],
        &["read"],
        &["check"],
        &["token", "status"],
        &["token", "refresh"],
        &["token", "refresh", "--force"],
        &["token", "forget"],
    ] {
        let mut command = site.command(arguments);
        command.env("RUST_LOG", "trace");
        let output = timeout(HANG, command.output()).await.unwrap().unwrap();
        said += &text(&output.stdout);
        said += &text(&output.stderr);
    }
    assert!(!secrets_in(&said), "{said}");
    for entry in std::fs::read_dir(site.path("state")).unwrap() {
        let entry = entry.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "{}", Path::new(&entry.file_name()).display());
    }
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
        site.gateway().suffer(Condition::Refusing);
    }
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert!(log.contains("<6>logging in to the Enphase cloud"), "{log}");
    assert!(log.contains("<4>the gateway at"), "{log}");
}
