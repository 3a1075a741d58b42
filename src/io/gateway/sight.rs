//! The first look at a gateway: who is there, and what its connection proves. Nothing secret is sent.

use tokio::time::Instant;

use super::Error;
use super::address::Scheme;
use super::answer::Answer;
use super::connection::Connection;
use super::delivery::Undelivered;
use super::exchange::Request;
use super::info::{self, Info};
use super::peer::{Peer, Proof};
use super::place::Place;
use crate::io::tls::Check;

/// The program's name and version, as gateways are told.
const AGENT: &str = concat!("enphased/", env!("CARGO_PKG_VERSION"));

/// A gateway that has named itself, and whose key is not judged yet.
#[derive(Debug)]
pub(super) struct Sighted {
    pub(super) connection: Connection,
    pub(super) peer: Peer,
    pub(super) info: Info,
    pub(super) asked: Instant,
}

/// Asks whoever is at `place` who it is.
pub(super) async fn look(place: Place, check: Check) -> Result<Sighted, Error> {
    let mut connection = Connection::new(place, check, AGENT)?;
    let found = connection.find(&Request::get(info::PATH, info::LIMIT)).await;
    let plain = connection.place().address.scheme() == Some(Scheme::Http);
    let unanswered = match &found {
        Err(Undelivered::Refused(_)) => true,
        Ok(answer) => answer.is_redirect(),
        Err(_) => false,
    };
    if plain && unanswered && answers_https(connection.place(), check).await {
        return Err(Error::NotEncrypted { address: connection.place().address.to_string() });
    }
    let answer = found.map_err(Error::from).map_err(|error| no_page(error, connection.place()))?;
    let info = understood(answer, connection.place())?;
    let asked = Instant::now();
    let peer = connection.names_itself(&info.serial, asked);
    let peer = peer.ok_or(Error::Setup { why: "an answer came on no connection".to_owned() })?;
    refuse_token_over_http(&info, &peer, connection.place())?;
    Ok(Sighted { connection, peer, info, asked })
}

impl Sighted {
    /// Asks the gateway again who it is. An error where that is another one, or whose token could be read on the way.
    pub(super) async fn confirm(&mut self) -> Result<(), Error> {
        let request = Request::get(info::PATH, info::LIMIT);
        let answer = self.connection.find_like(&self.peer, &request).await;
        let answer = answer.map_err(|error| no_page(error, self.connection.place()))?;
        let info = understood(answer, self.connection.place())?;
        let asked = Instant::now();
        let peer = self.connection.names_itself(&info.serial, asked);
        if peer.as_ref() != Some(&self.peer) {
            let address = self.connection.place().address.to_string();
            return Err(Error::Replaced { address, was: self.peer.serial.clone(), is: info.serial });
        }
        let over_http = refuse_token_over_http(&info, &self.peer, self.connection.place());
        (self.info, self.asked) = (info, asked);
        over_http
    }
}

/// A page that is too long is a router's or a printer's, for people.
fn no_page(error: Error, place: &Place) -> Error {
    match error {
        Error::TooLarge { limit, .. } => {
            let why = format!("it is longer than {limit} bytes; {}", info::NO_GATEWAY);
            Error::Unidentified { address: place.address.to_string(), why }
        }
        Error::Malformed { why, .. } => Error::Unidentified { address: place.address.to_string(), why },
        other => other,
    }
}

/// What `answer` says of the gateway at `place`.
fn understood(answer: Answer, place: &Place) -> Result<Info, Error> {
    let odd = |why| Error::Unidentified { address: place.address.to_string(), why };
    let page = answer.into_body(info::PATH).map_err(|error| match error {
        Error::Missing { .. } | Error::Forbidden { .. } => odd(info::NO_PAGE.to_owned()),
        Error::Malformed { why, .. } => odd(why),
        other => other,
    })?;
    Info::parse(&page).map_err(odd)
}

/// A gateway that wants a token is read over https alone: over http nothing would protect the token.
fn refuse_token_over_http(info: &Info, peer: &Peer, place: &Place) -> Result<(), Error> {
    if peer.proof != Proof::Clear || !info.needs_token() {
        return Ok(());
    }
    let address = place.address.to_string();
    if place.address.scheme() == Some(Scheme::Http) {
        return Err(Error::NotEncrypted { address });
    }
    // Perhaps it is starting, and https comes later.
    let why = format!("it answers over http alone, and firmware {} is read over https", info.firmware);
    Err(Error::Unreachable { address, path: info::PATH, connected: true, why })
}

/// Whether a gateway answers over https where `http://` is written.
async fn answers_https(place: &Place, check: Check) -> bool {
    let place = Place { address: place.address.encrypted(), ip: place.ip };
    let Ok(mut connection) = Connection::new(place, check, AGENT) else { return false };
    match connection.find(&Request::get(info::PATH, info::LIMIT)).await {
        Ok(answer) => understood(answer, connection.place()).is_ok(),
        Err(_) => false,
    }
}
