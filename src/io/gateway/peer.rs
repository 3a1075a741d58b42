//! Who is at the other end of a connection, and what may be sent there.
//!
//! A secret for a gateway is bound to it, and can be taken out only for a connection that leads to that gateway: the
//! same serial number, proven by the same key. There is no other way to put a secret into a request.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::tls::Fingerprint;

/// A new connection that proves nothing is taken for the one before if that gateway named itself within this time:
/// some close every connection after one response.
const JUST_NOW: Duration = Duration::from_secs(2);

/// What a connection proves about its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// TLS: the other end owns this key.
    Key(Fingerprint),
    /// TLS with `tls = "insecure"`: nothing.
    Unproven,
    /// Plain http: nothing, and everybody on the way can read along.
    Clear,
}

impl Proof {
    /// The key that was shown and compared.
    pub(super) const fn key(self) -> Option<Fingerprint> {
        match self {
            Self::Key(key) => Some(key),
            Self::Unproven | Self::Clear => None,
        }
    }
}

/// A gateway that has named itself at `/info`, on a connection with this proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its serial number.
    pub serial: Serial,
    /// What its connection proves.
    pub proof: Proof,
}

/// The other end of one connection.
#[derive(Clone, Debug)]
pub(super) struct FarEnd {
    proof: Proof,
    /// Who it is, as far as is known.
    serial: Option<Serial>,
}

impl FarEnd {
    pub(super) const fn proof(&self) -> Proof {
        self.proof
    }

    /// The other end has named itself at `/info`.
    pub(super) fn names_itself(&mut self, serial: &Serial) {
        self.serial = Some(serial.clone());
    }

    /// Compares it with `peer`.
    pub(super) fn compare(&self, peer: &Peer) -> Comparison {
        match &self.serial {
            _ if self.proof != peer.proof => Comparison::OtherProof(self.proof),
            Some(serial) if *serial == peer.serial => Comparison::Same,
            Some(_) | None => Comparison::Unnamed,
        }
    }
}

/// How the other end of a connection compares with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// It is the peer.
    Same,
    /// It shows something else: a key that is not the peer's, or none.
    OtherProof(Proof),
    /// It has not named itself as the peer yet, and nothing proves that it is.
    Unnamed,
}

/// The gateway that named itself last, by which the next connection is known.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    peer: Peer,
    at: Instant,
}

impl Sighting {
    pub(super) fn new(peer: Peer, at: Instant) -> Self {
        Self { peer, at }
    }

    /// The other end of a new connection with `proof`. A key proves who it is; where nothing is proven, only a moment
    /// ago counts.
    pub(super) fn far_end(last: Option<&Self>, proof: Proof, now: Instant) -> FarEnd {
        let same = last.filter(|last| {
            let proven = matches!(proof, Proof::Key(_));
            last.peer.proof == proof && (proven || now.saturating_duration_since(last.at) < JUST_NOW)
        });
        FarEnd { proof, serial: same.map(|last| last.peer.serial.clone()) }
    }
}

/// A secret for one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    peer: Peer,
    secret: Secret,
}

impl Bound {
    pub(super) fn new(secret: Secret, peer: &Peer) -> Self {
        Self { peer: peer.clone(), secret }
    }

    /// The secret, for a connection that leads to its peer. For any other there is none.
    pub(super) fn reveal(&self, far_end: &FarEnd) -> Option<&Secret> {
        (far_end.compare(&self.peer) == Comparison::Same).then_some(&self.secret)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> Fingerprint {
        serde_json::from_str(&format!("\"{}\"", format!("{number:02x}").repeat(32))).unwrap()
    }

    fn serial(number: u8) -> Serial {
        Serial::parse(&format!("12230000000{number}")).unwrap()
    }

    fn peer(number: u8, proof: Proof) -> Peer {
        Peer { serial: serial(number), proof }
    }

    fn secret(peer: &Peer) -> Bound {
        Bound::new(Secret::new("eyJ".to_owned()), peer)
    }

    #[test]
    fn a_key_proves_who_it_is_on_every_connection() {
        let (now, known) = (Instant::now(), peer(1, Proof::Key(key(1))));
        let last = Sighting::new(known.clone(), now);
        let hour_later = now + Duration::from_secs(3600);
        let same = Sighting::far_end(Some(&last), Proof::Key(key(1)), hour_later);
        assert!(secret(&known).reveal(&same).is_some());
        for proof in [Proof::Key(key(2)), Proof::Clear, Proof::Unproven] {
            let other = Sighting::far_end(Some(&last), proof, now);
            assert_eq!(other.compare(&known), Comparison::OtherProof(proof));
            assert_eq!(secret(&known).reveal(&other), None);
        }
    }

    #[test]
    fn where_nothing_is_proven_each_connection_names_itself() {
        for proof in [Proof::Unproven, Proof::Clear] {
            let (now, known) = (Instant::now(), peer(1, proof));
            let last = Sighting::new(known.clone(), now);
            let mut later = Sighting::far_end(Some(&last), proof, now + JUST_NOW);
            assert_eq!(secret(&known).reveal(&later), None);
            later.names_itself(&serial(2));
            assert_eq!(secret(&known).reveal(&later), None);
            later.names_itself(&serial(1));
            assert!(secret(&known).reveal(&later).is_some());
            let at_once = Sighting::far_end(Some(&last), proof, now + Duration::from_secs(1));
            assert!(secret(&known).reveal(&at_once).is_some());
        }
    }

    fn proofs() -> impl Strategy<Value = Proof> {
        prop_oneof![(1..3u8).prop_map(|n| Proof::Key(key(n))), Just(Proof::Unproven), Just(Proof::Clear)]
    }

    proptest! {
        /// Connections come and go, and each names itself or not: the secret leaves only where both are its own.
        #[test]
        fn a_secret_leaves_only_to_its_serial_with_its_proof(
            own in (1..3u8, proofs()),
            connections in proptest::collection::vec((proofs(), proptest::option::of(1..3u8), 0..4u64), 1..20),
        ) {
            let own = peer(own.0, own.1);
            let (mut now, mut last) = (Instant::now(), None);
            for (proof, named, pause) in connections {
                now += Duration::from_secs(pause);
                let mut far_end = Sighting::far_end(last.as_ref(), proof, now);
                if let Some(number) = named {
                    far_end.names_itself(&serial(number));
                    last = Some(Sighting::new(peer(number, proof), now));
                }
                let leaves = secret(&own).reveal(&far_end).is_some();
                let is_own = |sighting: &Sighting| sighting.peer == own && sighting.peer.proof == proof;
                prop_assert!(!leaves || last.as_ref().is_some_and(is_own));
            }
        }
    }
}
