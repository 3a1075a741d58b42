//! Opens a gateway: locates it, identifies it, and compares its key with the remembered one.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::address::Address;
use super::connected::Connected;
use super::error::{Error, Stage};
use super::identify::{Identified, identify};
use super::info;
use super::locate;
use super::location::Location;
use super::open_error::{OpenError, listed};
use super::peer::{Peer, Proof};
use super::pinned_key::{Known, PinnedKeys, Verdict, judge};
use super::target::Target;
use crate::base::reading::Serial;
use crate::io::tls::Check;

/// The time limit for identifying the device at one of several locations. More than for connecting, so that an absent
/// device is distinguished from one that does not respond.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(12);
/// The time limit for all locations together. The watchdog waits for the poll.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Locates and opens the gateway that `target` describes.
pub async fn open(target: &Target, keys: &mut PinnedKeys, now: Timestamp) -> Result<Connected, OpenError> {
    let locations = locate::locations(target, keys).await?;
    open_among(&locations, target, keys, now).await
}

/// Opens the gateway that `target` describes, at one of `locations`.
pub async fn open_among(
    locations: &[Location],
    target: &Target,
    keys: &mut PinnedKeys,
    now: Timestamp,
) -> Result<Connected, OpenError> {
    let mut findings = Findings::default();
    if let [location] = locations {
        let check = check(target);
        findings.add(location, identify(location.clone(), check).await, target, keys).await?;
    } else {
        identify_all(locations, target, keys, &mut findings).await?;
    }
    let candidate = findings.choose()?;
    Ok(remember(candidate, target, keys, now).await)
}

const fn check(target: &Target) -> Check {
    if target.insecure { Check::Nothing } else { Check::Ownership }
}

/// Identifies the devices at `locations` one after the other, and stops at the one with the known key. Two locations
/// may be one gateway, which receives only one request at a time.
async fn identify_all(
    locations: &[Location],
    target: &Target,
    keys: &PinnedKeys,
    findings: &mut Findings,
) -> Result<(), OpenError> {
    let all = async {
        for location in locations {
            let result = timeout(IDENTIFY_TIMEOUT, identify(location.clone(), check(target))).await;
            let result = result.unwrap_or_else(|_elapsed| Err(timed_out(location)));
            if findings.add(location, result, target, keys).await? {
                break;
            }
        }
        Ok(())
    };
    // Locations that have not responded by then are left out.
    timeout(TOTAL_TIMEOUT, all).await.unwrap_or(Ok(()))
}

fn timed_out(location: &Location) -> Error {
    let why = format!("timed out after {} s", IDENTIFY_TIMEOUT.as_secs());
    Error::Unreachable { address: location.to_string(), path: info::PATH, stage: Stage::Handshake, why }
}

/// A gateway that may be the target.
#[derive(Debug)]
struct Candidate {
    gateway: Identified,
    known: Option<Known>,
    /// `true` if this contact is the first, so that the key is trusted from now on.
    is_first: bool,
}

/// The devices found at the locations of a gateway.
#[derive(Debug, Default)]
struct Findings {
    /// The gateway that presented its remembered key.
    known: Option<Candidate>,
    /// Gateways that are acceptable without a remembered key.
    candidates: Vec<Candidate>,
    /// The first gateway whose key differs from the remembered one.
    changed: Option<Error>,
    /// The first gateway with another serial number than the configured one.
    other: Option<OpenError>,
    failures: Vec<(Location, Error)>,
}

impl Findings {
    /// Adds the result for `location`. Returns `true` if the search is complete.
    async fn add(
        &mut self,
        location: &Location,
        result: Result<Identified, Error>,
        target: &Target,
        keys: &PinnedKeys,
    ) -> Result<bool, OpenError> {
        let gateway = match result {
            Ok(gateway) => gateway,
            Err(error) => {
                self.failures.push((location.clone(), error));
                return Ok(false);
            }
        };
        let Peer { serial, proof } = gateway.peer.clone();
        let address = location.address.to_string();
        if let Some(wanted) = &target.serial
            && *wanted != serial
        {
            let wanted = wanted.clone();
            self.other.get_or_insert(OpenError::OtherGateway { address, found: serial, wanted });
            return Ok(false);
        }
        let known = keys.load(&serial).await?;
        if known.is_none() && keys.is_lost(&serial).await {
            let seen = proof.key();
            self.changed.get_or_insert(Error::KeyLost { address, serial, seen });
            return Ok(false);
        }
        let verdict = judge(known.as_ref(), &proof);
        match verdict {
            Verdict::Same | Verdict::First => {
                let is_first = verdict == Verdict::First;
                let proven = !is_first && matches!(proof, Proof::Key(_));
                let candidate = Candidate { gateway, known, is_first };
                if proven {
                    self.known = Some(candidate);
                } else {
                    self.candidates.push(candidate);
                }
                Ok(proven)
            }
            Verdict::Changed { known, seen } => {
                self.changed.get_or_insert(Error::KeyChanged { address, serial, known, seen });
                Ok(false)
            }
            Verdict::Missing { known } => {
                self.changed.get_or_insert(Error::KeyMissing { address, serial, known });
                Ok(false)
            }
        }
    }

    /// Returns the gateway with the remembered key, else the only candidate.
    fn choose(mut self) -> Result<Candidate, OpenError> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        if let Some(changed) = self.changed {
            return Err(changed.into());
        }
        let distinct: BTreeSet<(Serial, Proof)> = self
            .candidates
            .iter()
            .map(|one| &one.gateway.peer)
            .map(|peer| (peer.serial.clone(), peer.proof))
            .collect();
        let serials: BTreeSet<&Serial> = distinct.iter().map(|(serial, _)| serial).collect();
        match (serials.len(), distinct.len()) {
            (0, _) => Err(self.other.unwrap_or_else(|| no_response(self.failures))),
            (1, 1) => Ok(self.candidates.swap_remove(0)),
            (1, _) => Err(several_keys(&self.candidates)),
            _ => Err(OpenError::SeveralFound(listed(serials.into_iter().map(Serial::to_string), 0))),
        }
    }
}

fn several_keys(candidates: &[Candidate]) -> OpenError {
    let Some(first) = candidates.first() else { return OpenError::NotFound };
    let shown = candidates.iter().map(|one| {
        let location = one.gateway.connection.location();
        match one.gateway.peer.proof {
            Proof::Key(key) => format!("{location} presents {key}"),
            Proof::Unproven => format!("{location} presents a key that is not checked"),
            Proof::Clear => format!("{location} presents no key, over plain http"),
        }
    });
    OpenError::SeveralKeys { serial: first.gateway.peer.serial.clone(), shown: listed(shown, 0) }
}

/// Returns the error for locations at which no gateway responded.
fn no_response(mut failures: Vec<(Location, Error)>) -> OpenError {
    let specific = failures.iter().position(|(_, error)| !matches!(error, Error::Unreachable { .. }));
    match (failures.len(), specific) {
        (0, _) => OpenError::NotFound,
        (1, _) => failures.swap_remove(0).1.into(),
        (_, Some(location)) => failures.swap_remove(location).1.into(),
        (_, None) => {
            let absent = failures.iter().all(|(_, error)| error.is_absence());
            let stage = if absent { Stage::Connect } else { Stage::Handshake };
            let address = listed(failures.iter().map(|(location, _)| location.to_string()), 0);
            let whys = failures.iter().filter_map(|(_, error)| match error {
                Error::Unreachable { why, .. } => Some(why.clone()),
                _ => None,
            });
            let whys: BTreeSet<String> = whys.collect();
            let why = listed(whys, 0);
            Error::Unreachable { address, path: info::PATH, stage, why }.into()
        }
    }
}

/// Remembers the gateway and its key, and returns it connected.
async fn remember(candidate: Candidate, target: &Target, keys: &mut PinnedKeys, now: Timestamp) -> Connected {
    let Candidate { gateway, known, is_first } = candidate;
    let Peer { serial, proof } = gateway.peer.clone();
    let address = gateway.connection.location().address.to_string();
    let location = target.address.as_ref().map_or_else(|| "mDNS".to_owned(), Address::to_string);
    let old_firmware = !gateway.info.needs_token();
    let named = target.serial.as_ref() == Some(&serial);
    let takes_password =
        old_firmware && target.has_password && (named || !keys.sent_to_another(&serial, &location).await);
    let password_of = known.as_ref().and_then(|known| known.password_of.clone());
    let next = Known {
        key: match (proof, &known) {
            (Proof::Key(key), _) => Some(key),
            (_, known) => known.as_ref().and_then(|known| known.key),
        },
        address,
        since: match &known {
            Some(known) if !is_first => known.since,
            _ => now,
        },
        password_of: if takes_password { Some(location) } else { password_of },
    };
    if let Some(key) = next.key
        && is_first
    {
        tracing::info!(%serial, %key, "first contact: this gateway's key is trusted from now on");
    }
    if known.as_ref() == Some(&next) && keys.has_copy(&serial).await {
        keys.keep(&serial, &next);
    } else {
        keys.remember(&serial, &next).await;
    }
    Connected::new(gateway, takes_password)
}
