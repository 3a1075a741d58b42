//! Runs every command and every failure with marked secrets, and searches all output for them (L10).
//!
//! The secrets are the account's password, a one-time code, the broker's password, and everything that the cloud and the
//! gateway issue: session ids, cookies, tokens. The output is both streams at the highest log level, every message on MQTT,
//! the files and their modes, the command line and the environment of the daemon, and a core dump. A secret in the
//! environment stays there: the kernel shows it to root and, unless core dumps are disabled, to the user.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use enphased::simulator::{
    Account, Answer, CloudOptions, Condition, Fault, GatewayOptions, LOGIN, Pages, Role, SecondFactor,
    Simulation, SimulationOptions, TOKENS, responses,
};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::super::mosquitto::{Mosquitto, Watcher, set_password};
use super::site::{HANG, Site, text};

const SERIAL: &str = "122300000001";
const BROKER: &str = "MARK-broker-5b1f";
const CODE: &str = "MARK-code-734019";
/// What may be secret in the address for alerts: the password, the topic and a token.
const ALERTS: [&str; 3] = ["MARK-alerts-password-1d", "MARK-alerts-topic-9f", "MARK-alerts-token-4e"];
/// Returns an account that requires the code.
const CAREFUL: &str = "careful@example.com";

/// A house with its broker, and all output so far.
struct Scene {
    site: Site,
    broker: Mosquitto,
    watcher: Watcher,
    /// The output, each with its command.
    said: Vec<(String, String)>,
    /// The cookies of gateway sessions, which the gateway forgets later.
    cookies: BTreeSet<String>,
}

impl Scene {
    async fn new() -> Self {
        let account = |email: &str, second_factor| Account {
            email: email.to_owned(),
            password: Simulation::PASSWORD.to_owned(),
            serials: vec![SERIAL.to_owned()],
            second_factor,
        };
        let code = SecondFactor::Code(CODE.to_owned());
        let accounts = vec![account(Simulation::EMAIL, None), account(CAREFUL, Some(code))];
        let gateway =
            GatewayOptions { serial: Some(SERIAL.to_owned()), ..GatewayOptions::new(Pages::battery()) };
        let cloud = CloudOptions { accounts, session_limit: 1000, ..CloudOptions::default() };
        let site =
            Site::of(SimulationOptions { gateways: vec![gateway], cloud, ..SimulationOptions::default() });
        let dir = tempfile::tempdir().unwrap();
        let passwords = dir.path().join("passwords");
        set_password(&passwords, BROKER).await;
        let listener = format!("allow_anonymous false\npassword_file {}", passwords.display());
        let broker = Mosquitto::start(dir, &listener, "").await;
        fs::write(site.path("broker-password"), BROKER).unwrap();
        let scene =
            Self { watcher: Watcher::new(&broker), site, broker, said: Vec::new(), cookies: BTreeSet::new() };
        scene.configure(scene.broker.port);
        scene
    }

    /// Writes a configuration whose address for alerts leads to nothing, or to the gateway, with its certificate.
    fn configure(&self, port: u16) {
        self.configure_with(port, "http", 1);
    }

    fn configure_with(&self, port: u16, scheme: &str, alerts: u16) {
        let [password, topic, token] = ALERTS;
        self.site.configure(&format!(
            "[mqtt]\nurl = \"mqtt://localhost:{port}\"\nuser = \"solar\"\npassword_file = {:?}\n\
             [alerts]\nurl = \"{scheme}://solar:{password}@127.0.0.1:{alerts}/{topic}?auth={token}\"\n\
             [stdout]\nformat = \"json\"\n",
            self.site.path("broker-password"),
        ));
    }

    /// Runs a command at the highest log level, and stores its output.
    async fn run(&mut self, arguments: &[&str], input: &str) {
        let mut command = self.site.command(arguments);
        let mut child = command.env("RUST_LOG", "trace").stdin(std::process::Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.ok();
        let output = timeout(HANG, child.wait_with_output()).await.expect("the program hangs").unwrap();
        self.said.push((format!("{arguments:?} on stdout"), text(&output.stdout)));
        self.said.push((format!("{arguments:?} on stderr"), text(&output.stderr)));
        self.cookies.extend(self.site.gateway().sessions());
        self.look_at_files();
    }

    /// Returns every secret in each encoding in which it could appear.
    fn secrets(&self) -> BTreeSet<String> {
        let mut secrets = BTreeSet::from_iter(self.site.simulation.cloud.secrets());
        secrets.extend(self.cookies.iter().cloned());
        secrets.extend([Simulation::PASSWORD, BROKER, CODE].into_iter().chain(ALERTS).map(str::to_owned));
        // A token is usable only with its signature.
        let parts: Vec<String> = secrets
            .iter()
            .filter_map(|token| token.rsplit_once('.'))
            .map(|(_, part)| part.to_owned())
            .collect();
        let dressed: Vec<String> = secrets
            .iter()
            .flat_map(|secret| {
                let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                [BASE64_STANDARD.encode(secret), form, format!("{secret:?}").trim_matches('"').to_owned()]
            })
            .collect();
        secrets.into_iter().chain(parts).chain(dressed).filter(|secret| secret.len() >= 6).collect()
    }

    /// Checks that no file which others may read contains a secret, and that no state file contains a password.
    fn look_at_files(&self) {
        let secrets = self.secrets();
        for entry in fs::read_dir(self.site.path("state")).into_iter().flatten() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "others can read {}", path.display());
            let bytes = text(&fs::read(&path).unwrap());
            let name = path.file_name().unwrap().to_str().unwrap();
            let meant = name.starts_with("token-") || name.starts_with("logins.json");
            for secret in &secrets {
                let mut passwords = [Simulation::PASSWORD, BROKER, CODE].into_iter().chain(ALERTS);
                let never = passwords.any(|password| password == secret);
                assert!(!bytes.contains(secret) || meant && !never, "{name} holds {secret}");
            }
        }
    }

    /// Searches all output.
    fn look(&self) {
        let secrets = self.secrets();
        let messages = self.watcher.topics.borrow();
        assert!(!messages.is_empty(), "nothing came to the broker");
        let messages =
            messages.iter().map(|(topic, payloads)| (format!("MQTT {topic}"), payloads.join("\n")));
        for (place, words) in self.said.iter().cloned().chain(messages) {
            for secret in &secrets {
                assert!(!words.contains(secret.as_str()), "{place} tells {secret}:\n{words}");
            }
            assert!(!tells_token(&words), "{place} tells a token:\n{words}");
            assert!(
                place.ends_with("stdout") || !words.contains(Simulation::EMAIL),
                "{place} tells whose it is:\n{words}"
            );
        }
    }
}

/// Returns whether a text contains the beginning of a token; a help text contains only the first letters.
fn tells_token(words: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    words
        .match_indices("eyJ")
        .any(|(at, _)| words[at..].chars().take(10).filter(|c| inside(*c)).count() == 10)
}

const COMMANDS: [&[&str]; 13] = [
    &["alerts", "test"],
    &["run", "--once"],
    &["read"],
    &["read", "--format", "influx"],
    &["check"],
    &["check", "--bundle"],
    &["token", "status"],
    &["token", "refresh"],
    &["token", "refresh", "--force", "--verbose"],
    &["domoticz", "check"],
    &["gateway", "trust", "--yes"],
    &["config", "validate"],
    &["token", "forget"],
];

fn bad_clouds() -> Vec<Fault> {
    vec![
        Fault::Reset,
        Fault::Redirect,
        Fault::Html,
        Fault::Truncated,
        Fault::Huge,
        responses::too_many_sessions(200),
        responses::too_many_requests(None),
        responses::wrong_credentials(),
        responses::second_factor(),
        responses::blocked(),
        responses::outage(503),
        responses::error_text(),
        // The cloud repeats the request.
        Fault::Respond(Answer::json(418, format!(r#"{{"echo":"{}"}}"#, Simulation::PASSWORD))),
    ]
}

#[tokio::test]
async fn no_secret_comes_out_of_any_command_or_failure() {
    let mut scene = Scene::new().await;
    for arguments in COMMANDS {
        scene.run(arguments, "").await;
    }
    for fault in bad_clouds() {
        for step in [LOGIN, TOKENS] {
            scene.site.simulation.cloud.fail(fault.clone().at(step));
            fs::remove_file(scene.site.path("state/logins.json")).ok();
            scene.run(&["token", "refresh", "--force", "--verbose"], "").await;
            scene.site.simulation.cloud.heal();
        }
    }
    let token = scene.site.token(Role::Owner, Duration::from_secs(365 * 86_400));
    scene.run(&["token", "import"], &token).await;
    scene.run(&["token", "import"], &token[..token.len() / 2]).await;
    for condition in [
        Condition::TokensRefused,
        Condition::DataRefused,
        Condition::ReplacedKey,
        Condition::OtherSerial("999900000001".to_owned()),
        Condition::Refusing,
    ] {
        scene.site.gateway().set_condition(condition);
        for arguments in [&["run", "--once"][..], &["read"], &["check"], &["check", "--bundle"]] {
            scene.run(arguments, "").await;
        }
        scene.site.gateway().heal();
    }
    // A damaged record and token.
    for name in ["logins.json", &format!("token-{SERIAL}.json")] {
        let path = scene.site.path("state").join(name);
        if let Ok(bytes) = fs::read(&path) {
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }
        scene.run(&["run", "--once"], "").await;
    }
    // An address for alerts with a certificate that is not valid, and one that is not a URL at all.
    let port = scene.site.gateway().address().rsplit_once(':').unwrap().1.parse().unwrap();
    for scheme in ["https", "MARK"] {
        scene.configure_with(scene.broker.port, scheme, port);
        for arguments in [&["alerts", "test"][..], &["check", "--bundle"], &["config", "validate"]] {
            scene.run(arguments, "").await;
        }
    }
    scene.configure(scene.broker.port);
    // Wrong passwords at the broker, and an account with a second factor.
    fs::write(scene.site.path("broker-password"), format!("{BROKER}-wrong")).unwrap();
    scene.run(&["check"], "").await;
    fs::write(scene.site.path("broker-password"), BROKER).unwrap();
    let config = fs::read_to_string(scene.site.path("config.toml")).unwrap();
    fs::write(scene.site.path("config.toml"), config.replace(Simulation::EMAIL, CAREFUL)).unwrap();
    scene.run(&["token", "refresh", "--force"], CODE).await;
    scene.configure(scene.broker.port);
    scene.run(&["run", "--once"], "").await;
    let online = format!("enphased/{SERIAL}/reading");
    scene.watcher.until(&online, "schema").await;
    assert!(scene.secrets().len() > 20, "there are secrets to look for");
    scene.look();
}

/// Returns a file of `/proc` about a process, with spaces in place of zeros.
fn shown(pid: u32, file: &str) -> String {
    text(&fs::read(format!("/proc/{pid}/{file}")).unwrap()).replace('\0', " ")
}

#[tokio::test]
async fn the_process_shows_no_secret_on_its_command_line_or_in_its_environment() {
    let site = Site::new();
    let daemon = site.daemon().await;
    let pid = daemon.child.id().unwrap();
    let seen = shown(pid, "cmdline") + &shown(pid, "environ");
    assert!(seen.contains("HOME="), "{seen}");
    let secrets = site.simulation.cloud.secrets();
    assert!(!seen.contains(Simulation::PASSWORD) && !secrets.iter().any(|secret| seen.contains(secret)));
    daemon.kill().await;
}

/// Ends `command` by a signal that dumps core, without a limit on dumps; returns whether one was created.
async fn dumps(mut command: Command, dir: &Path, ready: bool) -> bool {
    command.current_dir(dir).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    if ready {
        let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut line);
        timeout(HANG, read).await.expect("no reading").unwrap();
        let limits = shown(child.id().unwrap(), "limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
        let pid = child.id().unwrap().to_string();
        Command::new("kill").args(["-s", "ABRT", &pid]).status().await.unwrap();
    }
    let status = timeout(HANG, child.wait()).await.expect("it does not end").unwrap();
    assert_eq!(status.signal(), Some(6));
    status.core_dumped()
}

#[tokio::test]
async fn no_core_is_dumped_while_secrets_are_in_memory() {
    let site = Site::new();
    let dir = tempfile::tempdir().unwrap();
    let allowed = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -c unlimited 2>/dev/null; {script}"), "sh"]);
        command
    };
    let whole = site.command(&["run"]);
    let whole = whole.as_std();
    let mut command = allowed("exec \"$@\"");
    command.arg(whole.get_program()).args(whole.get_args()).env_clear().env("HOME", site.dir.path());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    assert!(!dumps(command, dir.path(), true).await, "a core was dumped");
    // If this machine creates no core dumps at all, only the limit above was tested.
    if !dumps(allowed("kill -s ABRT $$"), dir.path(), false).await {
        println!("this machine dumps no core of any program; the limit alone was looked at");
    }
}
