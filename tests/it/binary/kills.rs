//! Kills the program hundreds of times, at different points after its start.
//!
//! In each house the program is killed a few times on one state directory, and then runs undisturbed. At every point: at most
//! one login, no stored token lost, every state file complete, no temporary file left after the undisturbed run. `SEED`
//! repeats a run.

use std::net::SocketAddr;
use std::time::Duration;

use enphased::base::reading::Serial;
use enphased::io::state_dir::StateDir;
use enphased::io::token::Token;
use enphased::io::token::store;
use enphased::rules::proxy::pages;
use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::site::{HANG, Site, text};

const HOUSES: usize = 42;
const KILLS: usize = 6;

/// The point at which a run is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// After this many more requests to the cloud.
    Cloud(u64),
    /// After this many more requests to the gateway.
    Gateway(u64),
    /// After this many lines of its log.
    Line(usize),
    /// This long after the start.
    After(Duration),
}

impl Point {
    fn random(rng: &mut Rng) -> Self {
        match rng.u8(0..4) {
            0 => Self::Cloud(rng.u64(1..=2)),
            1 => Self::Gateway(rng.u64(1..=12)),
            2 => Self::Line(rng.usize(1..=8)),
            _ => Self::After(Duration::from_micros(rng.u64(0..120_000))),
        }
    }
}

/// Returns the seed of this run, and prints it so that a failure can be repeated.
fn seed() -> u64 {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    seed
}

/// Waits for the point, or for a later event: a reading, the message that no login may happen, the end of the program.
async fn until(point: Point, site: &Site, child: &mut Child, before: (u64, u64)) {
    let (mut cloud, mut gateway) = (site.simulation.cloud.arrived(), site.gateway().arrived());
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut readings = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = async {
        let mut count = 0;
        while let Ok(Some(line)) = log.next_line().await {
            count += 1;
            let reached = matches!(point, Point::Line(wanted) if count >= wanted);
            if reached || line.contains("waits for") {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    let asked = async {
        match point {
            Point::Cloud(more) => drop(cloud.wait_for(|count| *count >= before.0 + more).await.unwrap()),
            Point::Gateway(more) => drop(gateway.wait_for(|count| *count >= before.1 + more).await.unwrap()),
            Point::After(length) => sleep(length).await,
            Point::Line(_) => std::future::pending().await,
        }
    };
    let read = async {
        if !matches!(readings.next_line().await, Ok(Some(_))) {
            std::future::pending::<()>().await;
        }
    };
    let whatever = async {
        tokio::select! {
            () = told => {}
            () = asked => {}
            () = read => {}
            _ = child.wait() => {}
        }
    };
    timeout(HANG, whatever).await.expect("nothing happens");
}

/// Returns the stored tokens without changing them.
async fn stored(site: &Site, state: &StateDir) -> Option<Token> {
    for name in state.names("", ".json").await.unwrap() {
        let bytes = std::fs::read(state.path().join(&name)).unwrap();
        let whole = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
        assert!(whole, "{name} is damaged: {}", text(&bytes));
    }
    assert_eq!(state.names("", ".damaged").await.unwrap(), Vec::<String>::new());
    let tokens = store::load(state, &Serial::parse(&site.gateway().serial()).unwrap()).await.unwrap().tokens;
    tokens.in_use().map(|kept| kept.token.clone())
}

/// Adds a proxy to the configuration, and a program that asks it. The program ends with the returned set.
async fn with_proxy(site: &Site) -> JoinSet<()> {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    site.configure(&format!("proxy = [\"{proxy}\"]\n[stdout]\nformat = \"json\"\n"));
    let mut programs = JoinSet::new();
    programs.spawn(ask(proxy));
    programs
}

/// Asks the proxy for pages for as long as the test runs, whether somebody listens or not.
async fn ask(proxy: SocketAddr) {
    for page in pages::all().cycle() {
        sleep(Duration::from_millis(3)).await;
        let Ok(mut stream) = TcpStream::connect(proxy).await else { continue };
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", page.path);
        if stream.write_all(request.as_bytes()).await.is_ok() {
            stream.read_to_end(&mut Vec::new()).await.ok();
        }
    }
}

fn assert_one_login(site: &Site, story: &[(&[&str], Point)]) {
    let (attempts, _, tokens) = site.logins();
    assert!(attempts <= 1 && tokens <= 1, "{attempts} logins, {tokens} tokens: {story:?}");
}

/// Runs the program in one house several times with kills; returns whether it has a token in the end.
async fn house(rng: &mut Rng) -> bool {
    let site = Site::new();
    let state = StateDir::open(&site.path("state")).unwrap();
    let _programs = with_proxy(&site).await;
    let (mut token, mut story) = (None, Vec::new());
    for _ in 0..KILLS {
        let arguments = [&["run"][..], &["run"], &["run", "--once"], &["token", "refresh"]][rng.usize(0..4)];
        let point = Point::random(rng);
        story.push((arguments, point));
        let before = (*site.simulation.cloud.arrived().borrow(), *site.gateway().arrived().borrow());
        let mut command: Command = site.command(arguments);
        let mut child = command.env("RUST_LOG", "enphased=debug").spawn().unwrap();
        until(point, &site, &mut child, before).await;
        child.kill().await.ok();
        let now = stored(&site, &state).await;
        assert!(token.is_none() || now == token, "a token is lost: {story:?}");
        token = now;
        assert_one_login(&site, &story);
    }
    // Undisturbed.
    let output = site.run(&["run", "--once"]).await;
    let log = text(&output.stderr);
    let code = output.status.code();
    assert!(code == Some(0) || code == Some(75) && log.contains("interrupted"), "{story:?}: {log}");
    assert_eq!(state.names(".", "").await.unwrap(), Vec::<String>::new(), "left behind: {story:?}");
    let after = stored(&site, &state).await;
    assert!(token.is_none() || after == token, "a token is lost: {story:?}");
    // No login if the program was killed between the record and the request.
    assert!(site.simulation.cloud.counts().login_attempts <= 1, "{story:?}: {log}");
    assert_eq!(code == Some(0), after.is_some());
    after.is_some()
}

#[tokio::test]
async fn hundreds_of_kills_cost_one_login_a_house_and_lose_nothing() {
    let mut rng = Rng::with_seed(seed());
    let mut supplied = 0;
    for _ in 0..HOUSES {
        supplied += u32::from(house(&mut rng).await);
    }
    println!("{} kills, {supplied} of {HOUSES} houses with a token", HOUSES * KILLS);
    // Most kills have to miss the moment in which the response to a login is lost; otherwise the test would test little.
    assert!(supplied > 0);
}
