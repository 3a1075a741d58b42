//! Opens a gateway: finds it, asks who it is, and judges the key it shows by what is remembered of it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::Error;
use super::address::Address;
use super::connected::Connected;
use super::info;
use super::locate;
use super::open_error::{OpenError, listed};
use super::peer::{Peer, Proof};
use super::pinned_key::{Known, PinnedKeys, Verdict, judge};
use super::place::Place;
use super::sight::{Sighted, look};
use super::target::Target;
use crate::base::reading::Serial;
use crate::io::tls::Check;

/// How long each of several places may take to say who is there.
const LOOK: Duration = Duration::from_secs(10);
/// For all of them together: the watchdog waits for the poll.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);
/// Opens the gateway that `target` means.
pub async fn open(target: &Target, keys: &mut PinnedKeys, now: Timestamp) -> Result<Connected, OpenError> {
    let places = locate::places(target, keys).await?;
    open_among(&places, target, keys, now).await
}

/// Opens the gateway that `target` means, which is at one of `places`.
pub async fn open_among(
    places: &[Place],
    target: &Target,
    keys: &mut PinnedKeys,
    now: Timestamp,
) -> Result<Connected, OpenError> {
    let mut looked = Looked::default();
    if let [place] = places {
        let check = check(target);
        looked.take(place, look(place.clone(), check).await, target, keys).await?;
    } else {
        look_at_all(places, target, keys, &mut looked).await?;
    }
    let candidate = looked.chosen()?;
    Ok(admit(candidate, target, keys, now).await)
}

const fn check(target: &Target) -> Check {
    if target.insecure { Check::Nothing } else { Check::Ownership }
}

/// Looks at one place after the other, to the one with the known key if there is one: two of them may be one gateway,
/// which is asked one request at a time.
async fn look_at_all(
    places: &[Place],
    target: &Target,
    keys: &PinnedKeys,
    looked: &mut Looked,
) -> Result<(), OpenError> {
    let all = async {
        for place in places {
            let seen = timeout(LOOK, look(place.clone(), check(target))).await;
            let seen = seen.unwrap_or_else(|_late| Err(late(place)));
            if looked.take(place, seen, target, keys).await? {
                break;
            }
        }
        Ok(())
    };
    // What has not answered by then is left out.
    timeout(LOOK_AT_ALL, all).await.unwrap_or(Ok(()))
}

fn late(place: &Place) -> Error {
    let why = format!("timed out after {} s", LOOK.as_secs());
    Error::Unreachable { address: place.to_string(), path: info::PATH, connected: false, why }
}

/// A gateway that may be the one that is meant.
#[derive(Debug)]
struct Candidate {
    sighted: Sighted,
    known: Option<Known>,
    first: bool,
}

/// What was seen at the places of a gateway.
#[derive(Debug, Default)]
struct Looked {
    /// The one that is remembered with the key it showed.
    known: Option<Candidate>,
    /// Those that nothing speaks against.
    candidates: Vec<Candidate>,
    /// Of those that show something else than is remembered, the first.
    changed: Option<Error>,
    /// Of those with another serial number than the configured one, the first.
    other: Option<OpenError>,
    failures: Vec<(Place, Error)>,
}

impl Looked {
    /// Takes what was seen at `place`. `true` when there is nothing more to look for.
    async fn take(
        &mut self,
        place: &Place,
        seen: Result<Sighted, Error>,
        target: &Target,
        keys: &PinnedKeys,
    ) -> Result<bool, OpenError> {
        let sighted = match seen {
            Ok(sighted) => sighted,
            Err(error) => {
                self.failures.push((place.clone(), error));
                return Ok(false);
            }
        };
        let Peer { serial, proof } = sighted.peer.clone();
        let address = place.address.to_string();
        if let Some(wanted) = target.serial.as_ref().filter(|wanted| **wanted != serial) {
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
                let first = verdict == Verdict::First;
                let proven = !first && matches!(proof, Proof::Key(_));
                let candidate = Candidate { sighted, known, first };
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

    /// The gateway that is meant: the one with the remembered key, else the only one there is.
    fn chosen(mut self) -> Result<Candidate, OpenError> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        if let Some(changed) = self.changed {
            return Err(changed.into());
        }
        let distinct: BTreeSet<(Serial, Proof)> = self
            .candidates
            .iter()
            .map(|one| &one.sighted.peer)
            .map(|peer| (peer.serial.clone(), peer.proof))
            .collect();
        let serials: BTreeSet<&Serial> = distinct.iter().map(|(serial, _)| serial).collect();
        match (serials.len(), distinct.len()) {
            (0, _) => Err(self.other.unwrap_or_else(|| unanswered(self.failures))),
            (1, 1) => Ok(self.candidates.swap_remove(0)),
            (1, _) => Err(several_keys(&self.candidates)),
            _ => Err(OpenError::SeveralFound(listed(serials.into_iter().map(Serial::to_string), 0))),
        }
    }
}

fn several_keys(candidates: &[Candidate]) -> OpenError {
    let Some(first) = candidates.first() else { return OpenError::NotFound };
    let shown = candidates.iter().map(|one| {
        let place = one.sighted.connection.place();
        match one.sighted.peer.proof {
            Proof::Key(key) => format!("{place} shows {key}"),
            Proof::Unproven => format!("{place} shows one that is not checked"),
            Proof::Clear => format!("{place} shows none, over plain http"),
        }
    });
    OpenError::SeveralKeys { serial: first.sighted.peer.serial.clone(), shown: listed(shown, 0) }
}

/// The error for places of which none has a gateway.
fn unanswered(mut failures: Vec<(Place, Error)>) -> OpenError {
    let telling = failures.iter().position(|(_, error)| !matches!(error, Error::Unreachable { .. }));
    match (failures.len(), telling) {
        (0, _) => OpenError::NotFound,
        (1, _) => failures.swap_remove(0).1.into(),
        (_, Some(place)) => failures.swap_remove(place).1.into(),
        (_, None) => {
            let address = listed(failures.iter().map(|(place, _)| place.to_string()), 0);
            let whys = failures.iter().filter_map(|(_, error)| match error {
                Error::Unreachable { why, .. } => Some(why.clone()),
                _ => None,
            });
            let whys: BTreeSet<String> = whys.collect();
            let why = listed(whys, 0);
            Error::Unreachable { address, path: info::PATH, connected: false, why }.into()
        }
    }
}

/// Takes a gateway that nothing speaks against, and remembers it.
async fn admit(candidate: Candidate, target: &Target, keys: &mut PinnedKeys, now: Timestamp) -> Connected {
    let Candidate { sighted, known, first } = candidate;
    let Peer { serial, proof } = sighted.peer.clone();
    let address = sighted.connection.place().address.to_string();
    let place = target.address.as_ref().map_or_else(|| "mDNS".to_owned(), Address::to_string);
    let old_firmware = !sighted.info.needs_token();
    let named = target.serial.as_ref() == Some(&serial);
    let takes_password =
        old_firmware && target.has_password && (named || !keys.sent_to_another(&serial, &place).await);
    let password_of = known.as_ref().and_then(|known| known.password_of.clone());
    let next = Known {
        key: match (proof, &known) {
            (Proof::Key(key), _) => Some(key),
            (_, known) => known.as_ref().and_then(|known| known.key),
        },
        address,
        since: known.as_ref().filter(|_| !first).map_or(now, |known| known.since),
        password_of: if takes_password { Some(place) } else { password_of },
    };
    if let Some(key) = next.key.filter(|_| first) {
        tracing::info!(%serial, %key, "first contact: this gateway's key is trusted from now on");
    }
    if known.as_ref() == Some(&next) && keys.has_copy(&serial).await {
        keys.keep(&serial, &next);
    } else {
        keys.remember(&serial, &next).await;
    }
    Connected::new(sighted, takes_password)
}
