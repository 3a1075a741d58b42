//! The bytes that a program sends to the proxy of a gateway. Whatever they are, the gateway is asked only for listed pages
//! that a program has spelled exactly and may read, and nobody gets a secret that it has not shown.

use std::cell::RefCell;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use enphased::app::config::{self, environment::Environment};
use enphased::app::consumers::registry::Registry;
use enphased::app::consumers::tokens::ConsumerTokens;
use enphased::app::page_cache::PageCache;
use enphased::app::proxy::{Context, router};
use enphased::base::clock::Clock;
use enphased::base::tally::Tally;
use enphased::io::gateway::info::Info;
use enphased::io::gateway::{Endpoint, Error, Fetched, Page as Response};
use enphased::io::http::{Client, Peer};
use enphased::io::state_dir::StateDir;
use enphased::rules::access::consumers::Identity;
use enphased::rules::proxy::cache::Contact;
use enphased::rules::proxy::pages::Page;
use enphased::rules::proxy::target::STREAM;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::exchange::exchange;

/// The byte of an input in whose place a valid token is sent.
pub(crate) const TOKEN: u8 = 1;
/// The byte of an input in whose place the session of that token is sent.
pub(crate) const SESSION: u8 = 2;
/// Every page of the gateway contains this.
const MARK: &str = "of the gateway";
/// The interval between two polls, and between two inputs: long enough for wrong tokens to be forgotten.
const INTERVAL: Duration = Duration::from_secs(61);
const INFO: &str =
    "<envoy_info><device><sn>122300000001</sn><software>D8.3.5289</software></device></envoy_info>";
const METERS: &[u8] = include_bytes!("../../../fixtures/8.3.5289_battery/ivp_meters");
const READINGS: &[u8] = include_bytes!("../../../fixtures/8.3.5289_battery/ivp_meters_readings");

/// A proxy, with the gateway behind it.
#[derive(Debug)]
pub(crate) struct Proxy {
    runtime: Runtime,
    router: Router,
    pages: PageCache,
    token: String,
    session: String,
    stop: watch::Sender<bool>,
    _directory: tempfile::TempDir,
}

impl Proxy {
    /// Starts a proxy that one token opens, and that one network may read without it.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let (stop, stopped) = watch::channel(false);
        let pages = PageCache::new(INTERVAL);
        let (context, token, session) = runtime.block_on(context(&directory, pages.clone(), stopped));
        Self { runtime, router: router(context), pages, token, session, stop, _directory: directory }
    }

    /// Sends an input and returns the response as text. The first byte says what contact there is to the gateway, and
    /// from which network the rest comes.
    pub(crate) fn receive(&self, input: &[u8]) -> String {
        let Some((&situation, rest)) = input.split_first() else { return String::new() };
        let sent = self.with_secrets(rest);
        let is_open = situation & 4 == 0;
        let address = if is_open { [192, 168, 1, 9] } else { [10, 0, 0, 9] };
        let client = Client::new(Peer { address: address.into(), port: 8081 }).with_exact_targets();
        let asked = RefCell::new(Vec::new());
        let received = self.runtime.block_on(async {
            tokio::time::advance(INTERVAL).await;
            self.prepare(situation);
            tokio::select! {
                received = exchange(client, self.router.clone(), self.stop.subscribe(), &sent) => received,
                () = gateway(&self.pages, &asked) => unreachable!("a gateway does not end"),
            }
        });
        let text = String::from_utf8_lossy(&received).into_owned();
        let shows_secret = rest.iter().any(|byte| [TOKEN, SESSION].contains(byte));
        self.check_response(&text, shows_secret);
        let asked = asked.into_inner();
        if !is_open && !shows_secret {
            assert!(asked.is_empty() && !text.contains(MARK), "without a token: {asked:?} {text}");
        }
        for path in asked {
            assert!(
                is_spelled(&sent, path),
                "{path} was requested from the gateway: {}",
                sent.escape_ascii()
            );
        }
        text
    }

    fn with_secrets(&self, input: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        for byte in input {
            match *byte {
                TOKEN => sent.extend_from_slice(self.token.as_bytes()),
                SESSION => sent.extend_from_slice(self.session.as_bytes()),
                byte => sent.push(byte),
            }
        }
        sent
    }

    fn prepare(&self, situation: u8) {
        // Nobody waits for a gateway that is away, so what the input before wanted is forgotten.
        self.pages.set_contact(Contact::Away);
        self.pages.clear();
        let info = Info::parse(INFO.as_bytes()).expect("a page of our own");
        self.pages.record_info(response(200, INFO.as_bytes()), &info);
        let contacts = [Contact::Present, Contact::Doubtful, Contact::Away, Contact::Starting];
        self.pages.set_contact(contacts[usize::from(situation & 3)]);
    }

    fn check_response(&self, text: &str, shows_secret: bool) {
        assert!(text.is_empty() || text.starts_with("HTTP/1."), "{text}");
        for status in ["101", "500"] {
            assert!(!text.starts_with(&format!("HTTP/1.1 {status}")), "{text}");
        }
        assert!(!text.contains(&self.token), "the token is in {text}");
        assert!(shows_secret || !text.contains(&self.session), "the session is in {text}");
    }
}

async fn context(
    directory: &tempfile::TempDir,
    pages: PageCache,
    stop: watch::Receiver<bool>,
) -> (Context, String, String) {
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\nrequests_per_minute = 4294967295\n\
                open_to = [\"192.168.1.0/24\"]\n";
    let config = config::complete(text, None, &Environment::default()).expect("a configuration");
    let state = StateDir::open(directory.path()).expect("a directory of our own");
    let clock = Clock::system();
    let mut tokens = ConsumerTokens::empty().expect("random numbers");
    let token = tokens.add("program", None, clock.now()).expect("random numbers").expose().to_owned();
    tokens.write(&state).await.expect("a disk with room");
    let id = tokens.tokens().next().expect("the token").id.clone();
    let limits = config.server.expect("a server").limits;
    let registry = Registry::open(limits, &state, &clock).await;
    let session = registry.session(&Identity::Token(id)).expect("the session of the token");
    let context = Context {
        pages,
        registry,
        interval: INTERVAL,
        names: vec!["pi".to_owned()],
        serial: None,
        tally: Tally::default(),
        stop,
    };
    (context, token, session)
}

/// Responds to each page that is wanted, and notes its path. Never ends.
async fn gateway(pages: &PageCache, asked: &RefCell<Vec<&'static str>>) {
    loop {
        let page = pages.next().await;
        asked.borrow_mut().push(page.path);
        tokio::time::sleep(Duration::from_millis(100)).await;
        match fetched(page) {
            Ok(fetched) => pages.record(page, Ok(&fetched)),
            Err(error) => pages.record(page, Err(&error)),
        }
    }
}

/// Returns the response for a page. Some pages are refused, fail or are damaged.
fn fetched(page: Page) -> Result<Fetched, Error> {
    let path = page.path;
    let body = format!("{{\"page\":\"{path} {MARK}\"}}");
    if page == Page::from(Endpoint::Meters) || page == Page::from(Endpoint::MeterReadings) {
        let body = if page == Page::from(Endpoint::Meters) { METERS } else { READINGS };
        return Ok(Fetched { page: response(200, body), error: None });
    }
    match path.len() % 8 {
        0 => Ok(Fetched { page: response(404, body.as_bytes()), error: Some(Error::Missing { path }) }),
        1 => {
            let error = Error::Failing { status: 501, path };
            Ok(Fetched { page: response(501, body.as_bytes()), error: Some(error) })
        }
        2 => Err(Error::Malformed { path, why: "cut off".to_owned() }),
        _ => Ok(Fetched { page: response(200, body.as_bytes()), error: None }),
    }
}

fn response(status: u16, body: &[u8]) -> Response {
    Response { status, content_type: None, content_encoding: None, body: Bytes::copy_from_slice(body) }
}

/// Returns `true` if what was sent contains a request that reads `path`, byte for byte.
fn is_spelled(sent: &[u8], path: &str) -> bool {
    let meters = [Endpoint::Meters, Endpoint::MeterReadings].map(|endpoint| Page::from(endpoint).path);
    let paths = [Some(path), meters.contains(&path).then_some(STREAM)];
    paths.iter().flatten().any(|path| {
        let requests = ["GET", "HEAD"].map(|method| format!("{method} {path} HTTP/1."));
        requests.iter().any(|request| sent.windows(request.len()).any(|part| part == request.as_bytes()))
    })
}
