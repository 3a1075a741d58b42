//! Tests the connection to a gateway against a server that responds by a script and records its requests.

mod addresses;
mod keys;
mod old_firmware;
mod responses;
mod session;
mod token_check;

use enphased::base::secrets::Secret;
use enphased::io::gateway::pinned_key::PinnedKeys;
use enphased::io::gateway::{self, Connected, Endpoint, Error, OpenError, Target};
use enphased::io::state_dir::StateDir;
use enphased::io::token::Token;
use jiff::Timestamp;

use crate::support::scripted_gateway::{
    CHECK, Reply, SERIAL, Seen, Server, accepted, bearer, info_of, ok, reply, token, unauthorized,
};

const READINGS: &str = "/ivp/meters/readings";
const INVERTERS: &str = "/api/v1/production/inverters";

fn info_page(software: &str) -> Reply {
    info_of(SERIAL, software)
}

fn good() -> Token {
    token(SERIAL, "good")
}

fn target(address: &str) -> Target {
    Target { address: Some(address.parse().unwrap()), ..Target::default() }
}

/// Opens a gateway without a stored key.
pub(crate) async fn open(target: &Target) -> Result<Connected, Error> {
    let state = tempfile::tempdir().unwrap();
    let mut keys = PinnedKeys::new(StateDir::open(state.path()).unwrap());
    match gateway::open(target, &mut keys, Timestamp::UNIX_EPOCH).await {
        Ok(gateway) => Ok(gateway),
        Err(OpenError::Gateway(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

impl Server {
    async fn open(&self) -> Result<Connected, Error> {
        open(&target(&self.url())).await
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Returns the script of a gateway with firmware 7 or later: sessions are numbered from 1, and only the newest is valid.
fn modern(
    mut extra: impl FnMut(&Seen) -> Option<Reply> + Send + 'static,
) -> impl FnMut(&Seen) -> Reply + Send {
    let mut sessions = 0;
    move |seen| {
        if let Some(reply) = extra(seen) {
            return reply;
        }
        match seen.path.as_str() {
            CHECK if seen.header("authorization") == bearer(&good()) && seen.header("cookie").is_empty() => {
                sessions += 1;
                accepted(&sessions.to_string())
            }
            CHECK => unauthorized(),
            "/info" => info_page("D8.3.5289"),
            _ if seen.header("cookie") == format!("sessionId={sessions}") => ok("[]"),
            _ => unauthorized(),
        }
    }
}

async fn modern_client(server: &Server) -> Connected {
    let mut client = server.open().await.unwrap();
    client.use_token(&good()).unwrap();
    client
}

fn why(error: Error) -> String {
    let Error::Unreachable { why, .. } = error else { panic!("{error:?}") };
    why
}

/// Returns the script of firmware before 7: most pages are open, and the inverters need Digest with `password`, which the
/// server side of the crate checks. A nonce is valid for `uses` responses.
fn old(password: &'static str, uses: u32) -> impl FnMut(&Seen) -> Reply + Send {
    let (mut nonce, mut spent) = (0, uses);
    move |seen| {
        let path = seen.path.as_str();
        if path != INVERTERS {
            return if path == "/info" { info_page("D5.0.62") } else { ok("{}") };
        }
        let right = digest_auth::AuthorizationHeader::parse(seen.header("authorization")).is_ok_and(|sent| {
            let mut again = sent.clone();
            again.digest(&digest_auth::AuthContext::new("envoy", password, path));
            again.response == sent.response && sent.nonce == nonce.to_string() && sent.nc == spent + 1
        });
        if right && spent < uses {
            spent += 1;
            return ok("[]");
        }
        (nonce, spent) = (nonce + 1, 0);
        let challenge =
            format!("WWW-Authenticate: Digest qop=\"auth\", realm=\"enphaseenergy.com\", nonce=\"{nonce}\"");
        reply("401 Unauthorized", &[&challenge], "<html><h2>401 Unauthorized</h2></html>")
    }
}

#[tokio::test]
async fn a_secret_is_in_no_debug_output() {
    let server = Server::https(modern(|_| None)).await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    let plain = Server::http(old("hunter2", 100)).await;
    let mut old = open(&Target { has_password: true, ..target(&plain.url()) }).await.unwrap();
    old.use_password("envoy", &secret("hunter2"));
    old.get(Endpoint::Inverters).await.unwrap();
    let shown = format!("{client:?} {old:?}");
    for hidden in ["Bearer", "eyJ", "hunter2", "sessionId=1"] {
        assert!(!shown.contains(hidden), "{hidden}");
    }
}
