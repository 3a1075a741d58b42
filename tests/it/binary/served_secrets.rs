//! Asks the built program for everything that it serves, with marked secrets in all places where a program may send them,
//! and searches the responses, the lists and the log at the highest level for them (L10).
//!
//! The secrets are those of the cloud and the gateway, a token of the gateway that a program presents, the token and the
//! session of a consumer, and the keys in the state directory. The gateway shows its own requests in error pages.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enphased::rules::proxy::pages;
use enphased::simulator::{Answer, Fault, Role, Simulation};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::timeout;

use super::site::{HANG, Site, text};

/// What the server has, and what it does not have.
const SERVER: [&str; 14] = [
    "/",
    "/api/v1/gateways",
    "/api/v1/gateways/122300000001/reading",
    "/api/v1/gateways/122300000001/history",
    "/api/v1/gateways/122300000001/poll",
    "/api/v1/status",
    "/api/v1/consumers",
    "/api/v1/stream",
    "/api/v1/socket",
    "/metrics",
    "/openapi.json",
    "/livez",
    "/readyz",
    "/unknown",
];

/// A running daemon, and what it writes.
struct Served {
    child: Child,
    written: Arc<Mutex<String>>,
    /// Those of the server and of the proxy.
    addresses: [SocketAddr; 2],
}

/// Returns the addresses of the server and of the proxy, after the first reading.
fn addresses(written: &str) -> Option<[SocketAddr; 2]> {
    let after = |words: &str| {
        let (_, rest) = written.split_once(words)?;
        rest.lines().next()?.rsplit_once("http://")?.1.trim().parse().ok()
    };
    written.contains("\n{\"schema\"").then_some([after("serving at ")?, after("serving the pages of ")?])
}

/// Collects what is written to `stream`. `news` changes with each line.
fn collect(
    stream: impl AsyncRead + Unpin + Send + 'static,
    written: &Arc<Mutex<String>>,
    news: watch::Sender<()>,
) {
    let written = Arc::clone(written);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            written.lock().unwrap().push_str(&(text(&line) + "\n"));
            news.send_replace(());
        }
    });
}

impl Served {
    /// Starts a daemon, and waits for its first reading.
    async fn start(site: &Site) -> Self {
        let mut command = site.command(&["run"]);
        let mut child = command.env("RUST_LOG", "trace").stderr(Stdio::piped()).spawn().unwrap();
        let written = Arc::default();
        let (news, mut changed) = watch::channel(());
        collect(child.stdout.take().unwrap(), &written, news.clone());
        collect(child.stderr.take().unwrap(), &written, news);
        let found = timeout(HANG, async {
            loop {
                if let Some(addresses) = addresses(&written.lock().unwrap()) {
                    return addresses;
                }
                changed.changed().await.unwrap();
            }
        });
        let addresses = found.await.expect("it does not serve");
        Self { child, written, addresses }
    }

    async fn stop(mut self) -> String {
        let pid = self.child.id().unwrap().to_string();
        tokio::process::Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap();
        timeout(HANG, self.child.wait()).await.expect("it does not end").unwrap();
        let written = self.written.lock().unwrap();
        written.clone()
    }
}

/// Sends a request, and returns all of the response, or the beginning of a stream.
async fn ask(at: SocketAddr, method: &str, target: &str, line: &str) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let upgrade = if target.starts_with("/api/v1/socket") {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        } else {
            "Connection: close\r\n"
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{upgrade}{line}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reply, mut part) = (String::new(), vec![0; 64 * 1024]);
        loop {
            let length = stream.read(&mut part).await.unwrap_or_default();
            reply.push_str(&text(&part[..length]));
            let began =
                ["event: ping", "\"group\":\"ping\"", "\r\ndata: {"].iter().any(|sign| reply.contains(sign));
            // The connection of a socket that was refused stays open for another request.
            let refused = !reply.starts_with("HTTP/1.1 101") && target.starts_with("/api/v1/socket");
            if length == 0 || began || refused && reply.contains("\r\n\r\n{") && reply.ends_with("}\n") {
                return reply;
            }
        }
    };
    let reply = timeout(HANG, asked).await.unwrap_or_else(|_| panic!("{method} {target} hangs"));
    assert!(reply.starts_with("HTTP/1.1 "), "{method} {target}: {reply}");
    reply
}

/// Returns a line of the head of a request, and the query, for each place in which a program may send a token.
fn places(token: &str) -> Vec<(String, String)> {
    let line = |line: String| (line + "\r\n", String::new());
    vec![
        line(format!("Authorization: Bearer {token}")),
        line(format!("Authorization: Basic {token}")),
        line(format!("Cookie: enphased={token}")),
        line(format!("Cookie: sessionId={token}; Path=/")),
        (String::new(), format!("?token={token}")),
    ]
}

/// Returns every marked secret.
fn secrets(site: &Site, presented: &BTreeSet<String>) -> BTreeSet<String> {
    let mut secrets = BTreeSet::from_iter(site.simulation.cloud.secrets());
    secrets.extend(site.gateway().sessions());
    secrets.insert(Simulation::PASSWORD.to_owned());
    secrets.extend(presented.iter().cloned());
    for name in ["consumer-tokens.json", "server-key.json"] {
        let Ok(bytes) = std::fs::read(site.path("state").join(name)) else { continue };
        let stored: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        secrets.extend(stored["key"].as_str().map(str::to_owned));
        let hashes = stored["tokens"].as_array().cloned().unwrap_or_default();
        secrets.extend(hashes.iter().filter_map(|entry| entry["hash"].as_str().map(str::to_owned)));
    }
    // A token is usable only with its signature.
    let parts: Vec<String> =
        secrets.iter().filter_map(|token| token.rsplit_once('.')).map(|(_, part)| part.to_owned()).collect();
    secrets.extend(parts);
    secrets.retain(|secret| secret.len() >= 6);
    secrets
}

/// Returns a response without the cookie that gives a consumer its own token or session.
fn without_own_cookie(reply: &str) -> String {
    let own = |line: &&str| {
        !["set-cookie: enphased=", "set-cookie: sessionId="].iter().any(|start| line.starts_with(start))
    };
    reply.lines().filter(own).collect::<Vec<_>>().join("\n")
}

/// Pages of the gateway whose responses show the request.
const TOLD: [(&str, u16); 4] =
    [("/home", 401), ("/ivp/ss", 403), ("/ivp/ensemble/status", 200), ("/inv", 500)];

/// Returns a house whose daemon serves a network that is open or not.
fn house(open: bool) -> Site {
    let site = Site::new();
    let network = if open { "127.0.0.0/8" } else { "192.0.2.0/24" };
    site.configure(&format!(
        "proxy = [\"127.0.0.1:0\"]\n[server]\nlisten = [\"127.0.0.1:0\"]\nopen_to = [\"{network}\"]\n\
         requests_per_minute = 1000000\nmax_consumers = 100\n[stdout]\nformat = \"json\"\n"
    ));
    site
}

/// Makes the gateway repeat its secrets.
fn tell(site: &Site) {
    let token = site.simulation.cloud.secrets().into_iter().rfind(|secret| secret.starts_with("eyJ"));
    let told = [token.into_iter().collect(), site.gateway().sessions()].concat().join("\n");
    for (path, status) in TOLD {
        site.gateway().fail(Fault::Respond(Answer::html(status, &told)).at(path));
    }
}

/// Sends every token to `path` in every place, and returns what comes back.
async fn ask_everywhere(at: SocketAddr, path: &str, presented: &BTreeSet<String>) -> Vec<(String, String)> {
    let mut said = Vec::new();
    for (place, (line, query)) in presented.iter().flat_map(|token| places(token)).enumerate() {
        let methods: &[&str] = if place % 5 == 0 { &["GET", "POST", "OPTIONS"] } else { &["GET"] };
        for method in methods {
            let reply = ask(at, method, &format!("{path}{query}"), &line).await;
            let gives = reply.contains("HTTP/1.1 303") || path == "/auth/check_jwt";
            let reply = if gives { without_own_cookie(&reply) } else { reply };
            said.push((format!("{method} {path} with {line}{query}"), reply));
        }
    }
    said
}

/// Returns what the commands and the socket for them show.
async fn shown(site: &Site) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut socket = UnixStream::connect(site.path("state/consumers.sock")).await.unwrap();
    socket.read_to_end(&mut list).await.unwrap();
    let mut said = vec![("consumers.sock".to_owned(), text(&list))];
    for arguments in [&["consumer", "list"] as &[&str], &["consumer", "list", "--format", "json"], &["check"]]
    {
        let output = site.run(arguments).await;
        said.push((format!("{arguments:?}"), text(&output.stdout) + &text(&output.stderr)));
    }
    said
}

/// Asks a daemon in a network that is open or not, and searches everything.
async fn search(open: bool) {
    let site = house(open);
    let own = text(&site.run(&["consumer", "add", "evcc"]).await.stdout).trim().to_owned();
    let served = Served::start(&site).await;
    tell(&site);
    let [api, proxy] = served.addresses;
    let checked = ask(proxy, "GET", "/auth/check_jwt", &format!("Authorization: Bearer {own}\r\n")).await;
    let (_, session) = checked.split_once("sessionId=").unwrap();
    let session = session.split(';').next().unwrap().to_owned();
    let presented =
        BTreeSet::from([own, session, site.token(Role::Owner, Duration::from_secs(365 * 86_400))]);
    let mut said = Vec::new();
    for path in SERVER {
        said.extend(ask_everywhere(api, path, &presented).await);
    }
    let others = ["/info", "/info.xml", "/auth/check_jwt", "/stream/meter", "/unknown"];
    let told = TOLD.iter().map(|(path, _)| *path);
    for path in pages::all().map(|page| page.path).chain(others).chain(told) {
        said.extend(ask_everywhere(proxy, path, &presented).await);
    }
    said.extend(shown(&site).await);
    said.push(("stdout and the log".to_owned(), served.stop().await));
    said.push((
        "consumers.json".to_owned(),
        text(&std::fs::read(site.path("state/consumers.json")).unwrap()),
    ));
    assert!(open || said.iter().any(|(_, words)| words.contains("HTTP/1.1 401")), "nobody needs a token");
    look(&said, &secrets(&site, &presented));
    assert_eq!(site.logins(), (1, 1, 1));
}

fn look(said: &[(String, String)], secrets: &BTreeSet<String>) {
    assert!(secrets.len() >= 10, "there are secrets to look for");
    for (place, words) in said {
        for secret in secrets {
            assert!(!words.contains(secret.as_str()), "{place} tells {secret}:\n{words}");
        }
    }
}

#[tokio::test]
async fn nothing_that_is_served_in_an_open_network_tells_a_secret() {
    search(true).await;
}

#[tokio::test]
async fn nothing_that_is_served_in_a_closed_network_tells_a_secret() {
    search(false).await;
}
