//! Identifies a gateway: reads `/info`, and takes the proof of the connection. Sends no secret.

use tokio::time::Instant;

use super::address::Scheme;
use super::connection::Connection;
use super::error::{Error, Stage};
use super::http::Request;
use super::info::{self, Info};
use super::location::Location;
use super::page::Page;
use super::peer::{Peer, Proof};
use super::recipient::SendError;
use super::response::Response;
use crate::io::tls::Check;

/// The `User-Agent` of requests to gateways.
const AGENT: &str = concat!("enphased/", env!("CARGO_PKG_VERSION"));

/// A gateway that has identified itself, and whose key is not checked yet.
#[derive(Debug)]
pub(super) struct Identified {
    pub(super) connection: Connection,
    pub(super) peer: Peer,
    pub(super) info: Info,
    /// The response that `info` was read from, until somebody takes it.
    pub(super) page: Option<Page>,
    pub(super) seen_at: Instant,
}

/// Reads `/info` at `location`.
pub(super) async fn identify(location: Location, check: Check) -> Result<Identified, Error> {
    let mut connection = Connection::new(location, check, AGENT)?;
    let response = connection.request_anyone(&Request::get(info::PATH, info::LIMIT)).await;
    let is_http = connection.location().address.scheme() == Some(Scheme::Http);
    let may_be_https = match &response {
        Err(SendError::Refused(_)) => true,
        Ok(response) => response.is_redirect(),
        Err(_) => false,
    };
    if is_http && may_be_https && responds_over_https(connection.location(), check).await {
        return Err(Error::NotEncrypted { address: connection.location().address.to_string() });
    }
    let response =
        response.map_err(Error::from).map_err(|error| not_an_info_page(error, connection.location()))?;
    let (info, page) = parse(response, connection.location())?;
    let seen_at = Instant::now();
    let peer = connection.identified_as(&info.serial, seen_at);
    let peer = peer.ok_or(Error::Setup { why: "a response arrived without a connection".to_owned() })?;
    refuse_token_over_http(&info, &peer, connection.location())?;
    Ok(Identified { connection, peer, info, page: Some(page), seen_at })
}

impl Identified {
    /// Reads `/info` again. Returns an error if another gateway responds, or if a token could be read on the network.
    pub(super) async fn confirm(&mut self) -> Result<(), Error> {
        let request = Request::get(info::PATH, info::LIMIT);
        let response = self.connection.request_same_proof(&self.peer, &request).await;
        let response = response.map_err(|error| not_an_info_page(error, self.connection.location()))?;
        let (info, page) = parse(response, self.connection.location())?;
        let seen_at = Instant::now();
        let peer = self.connection.identified_as(&info.serial, seen_at);
        if peer.as_ref() != Some(&self.peer) {
            let address = self.connection.location().address.to_string();
            return Err(Error::Replaced { address, was: self.peer.serial.clone(), is: info.serial });
        }
        let over_http = refuse_token_over_http(&info, &self.peer, self.connection.location());
        (self.info, self.page, self.seen_at) = (info, Some(page), seen_at);
        over_http
    }
}

/// Converts the error of a page that is too long or malformed: probably a router or a printer has the address.
fn not_an_info_page(error: Error, location: &Location) -> Error {
    match error {
        Error::TooLarge { limit, .. } => {
            let why = format!("it exceeds {limit} bytes; {}", info::NOT_A_GATEWAY);
            Error::Unidentified { address: location.address.to_string(), why }
        }
        Error::Malformed { why, .. } => Error::Unidentified { address: location.address.to_string(), why },
        other => other,
    }
}

/// Parses the `/info` page of the device at `location`, and returns it.
fn parse(response: Response, location: &Location) -> Result<(Info, Page), Error> {
    let invalid = |why| Error::Unidentified { address: location.address.to_string(), why };
    if let Some(error) = response.error(info::PATH) {
        return Err(match error {
            Error::Missing { .. } | Error::Forbidden { .. } => invalid(info::NO_INFO_PAGE.to_owned()),
            Error::Malformed { why, .. } => invalid(why),
            other => other,
        });
    }
    let page = Page::from(response);
    Ok((Info::parse(&page.body).map_err(invalid)?, page))
}

/// Refuses to read a gateway over http that requires a token, because nothing would protect the token.
fn refuse_token_over_http(info: &Info, peer: &Peer, location: &Location) -> Result<(), Error> {
    if peer.proof != Proof::Clear || !info.needs_token() {
        return Ok(());
    }
    let address = location.address.to_string();
    if location.address.scheme() == Some(Scheme::Http) {
        return Err(Error::NotEncrypted { address });
    }
    // Perhaps the gateway is starting, and https becomes available later.
    let why = format!("it responds only over http, but firmware {} requires https", info.firmware);
    Err(Error::Unreachable { address, path: info::PATH, stage: Stage::Response, why })
}

/// Returns whether the address configured with `http://` also responds over https.
async fn responds_over_https(location: &Location, check: Check) -> bool {
    let location = Location { address: location.address.encrypted(), ip: location.ip };
    let Ok(mut connection) = Connection::new(location, check, AGENT) else { return false };
    match connection.request_anyone(&Request::get(info::PATH, info::LIMIT)).await {
        Ok(response) => parse(response, connection.location()).is_ok(),
        Err(_) => false,
    }
}
