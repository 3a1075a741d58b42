//! Who answers at a gateway's address, and whether it is the one that is known there.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::known::{self, Known, Verdict};
use super::trouble::Trouble;
use crate::config;
use crate::gateway::address::Address;
use crate::gateway::client::Client;
use crate::gateway::info::Info;
use crate::gateway::{self, mdns};
use crate::logins::age::Heard;
use crate::reading::Serial;
use crate::state::StateDir;
use crate::tls::{Fingerprint, Rule, Trust};

/// How long announcements are listened for.
const LISTEN: Duration = Duration::from_secs(5);

/// A gateway that has said who it is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What it said.
    pub info: Info,
    /// Its serial number.
    pub serial: Serial,
    /// When it said so.
    pub asked: Instant,
}

impl Identity {
    /// What it told of the time when it was asked.
    pub fn heard(&self) -> Heard {
        self.info.time.map_or(Heard::NoTime, Heard::Time)
    }

    /// What its clock shows now, if it has gone on since.
    pub fn heard_by_now(&self) -> Heard {
        let time = self.info.time.and_then(|time| time.checked_add(self.asked.elapsed()).ok());
        time.map_or(Heard::NoTime, Heard::Time)
    }
}

/// Where the gateway is: as configured, or as it announces itself.
pub async fn locate(settings: &config::Gateway) -> Result<Address, Trouble> {
    if let Some(address) = &settings.address {
        return Ok(address.clone());
    }
    let wanted = |found: &mdns::Found| settings.serial.as_ref().is_none_or(|serial| *serial == found.serial);
    let mut found: Vec<mdns::Found> = mdns::browse(LISTEN).await?.into_iter().filter(wanted).collect();
    let serials: Vec<String> = found.iter().map(|one| one.serial.to_string()).collect();
    match (found.len(), found.pop().and_then(|one| one.address())) {
        (1, Some(address)) => Ok(address),
        (0 | 1, _) => Err(Trouble::NotFound),
        _ => Err(Trouble::SeveralFound(serials.join(", "))),
    }
}

/// A client for the gateway at `address`.
pub fn client(settings: &config::Gateway, address: &Address) -> Result<Client, Trouble> {
    let rule = if settings.insecure { Rule::Insecure } else { Rule::FirstUse };
    let agent = concat!("enphased/", env!("CARGO_PKG_VERSION"));
    Ok(Client::new(address.clone(), Trust::new(rule), agent)?)
}

/// Asks the gateway who it is, and judges the key it shows by its serial. Until that is done nothing but
/// `/info` is asked, and no token is sent.
pub async fn identify(
    client: &mut Client,
    address: &Address,
    settings: &config::Gateway,
    state: &StateDir,
    now: Timestamp,
) -> Result<Identity, Trouble> {
    let info = match client.info().await {
        // Another key: who it is decides whether that is right, and only who it is is asked.
        Err(gateway::Error::KeyChanged { .. }) => {
            client.trust().set_rule(Rule::FirstUse);
            client.info().await?
        }
        answer => answer?,
    };
    let serial = info.serial.clone();
    if let Some(wanted) = settings.serial.as_ref().filter(|wanted| **wanted != serial) {
        let (address, wanted) = (address.to_string(), wanted.clone());
        return Err(Trouble::OtherGateway { address, found: serial, wanted });
    }
    // Firmware before 7 speaks http and has no key.
    if let Some(seen) = client.trust().seen().filter(|_| !settings.insecure) {
        admit(&serial, seen, address, state, now, client.trust())?;
    }
    Ok(Identity { info, serial, asked: Instant::now() })
}

fn admit(
    serial: &Serial,
    seen: Fingerprint,
    address: &Address,
    state: &StateDir,
    now: Timestamp,
    trust: &Trust,
) -> Result<(), Trouble> {
    let address = address.to_string();
    match known::judge(known::load(state, serial)?.as_ref(), &seen) {
        Verdict::Same => {}
        Verdict::First => {
            tracing::info!(%serial, key = %seen, "first contact: this gateway's key is trusted from now on");
            let known = Known { key: seen.clone(), address, since: now };
            if let Err(error) = known::save(state, serial, &known) {
                tracing::error!("{error}; the key is trusted until the restart");
            }
        }
        Verdict::Changed(known) => {
            return Err(gateway::Error::KeyChanged { address, known, seen }.into());
        }
    }
    trust.set_rule(Rule::Only(seen));
    Ok(())
}
