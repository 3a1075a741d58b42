//! The identity of the remote end of a connection, and which secrets may be sent to it.
//!
//! A secret for a gateway is bound to it, and is revealed only for a connection that leads to that gateway. That means
//! the same serial number, proven by the same key. There is no other way to put a secret into a request.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::tls::Fingerprint;

/// The time after an identification during which a new connection without proof is attributed to the same gateway.
/// Some gateways close every connection after one response.
const JUST_NOW: Duration = Duration::from_secs(2);

/// The proof of identity that a connection provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// TLS: the remote end owns this key.
    Key(Fingerprint),
    /// TLS with `tls = "insecure"`: nothing.
    Unproven,
    /// Plain http: nothing, and anyone on the network can read the traffic.
    Clear,
}

impl Proof {
    /// Returns the key that was presented and compared.
    pub(super) const fn key(self) -> Option<Fingerprint> {
        match self {
            Self::Key(key) => Some(key),
            Self::Unproven | Self::Clear => None,
        }
    }
}

/// A gateway that has identified itself at `/info`, on a connection with this proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub serial: Serial,
    pub proof: Proof,
}

/// The remote end of one connection.
#[derive(Clone, Debug)]
pub(super) struct RemoteEnd {
    proof: Proof,
    /// The serial number, if known.
    serial: Option<Serial>,
}

impl RemoteEnd {
    pub(super) const fn proof(&self) -> Proof {
        self.proof
    }

    /// Records that the remote end identified itself at `/info`.
    pub(super) fn identified_as(&mut self, serial: &Serial) {
        self.serial = Some(serial.clone());
    }

    /// Compares the remote end with `peer`.
    pub(super) fn compare(&self, peer: &Peer) -> Comparison {
        match &self.serial {
            _ if self.proof != peer.proof => Comparison::OtherProof(self.proof),
            Some(serial) if *serial == peer.serial => Comparison::Same,
            Some(_) | None => Comparison::Unidentified,
        }
    }
}

/// The result of comparing the remote end of a connection with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The remote end is the peer.
    Same,
    /// The proofs differ: the remote end presents another key than the peer, or none.
    OtherProof(Proof),
    /// The remote end has not identified itself as the peer yet, and nothing proves that it is.
    Unidentified,
}

/// The gateway that identified itself last, used to recognize it on the next connection.
#[derive(Clone, Debug)]
pub(super) struct LastSeen {
    peer: Peer,
    at: Instant,
}

impl LastSeen {
    pub(super) fn new(peer: Peer, at: Instant) -> Self {
        Self { peer, at }
    }

    /// Returns the remote end of a new connection with `proof`. A key proves the identity. Without one, the gateway is
    /// recognized only for a moment.
    pub(super) fn remote_end(last: Option<&Self>, proof: Proof, now: Instant) -> RemoteEnd {
        let has_key = matches!(proof, Proof::Key(_));
        let is_same = |last: &&Self| {
            last.peer.proof == proof && (has_key || now.saturating_duration_since(last.at) < JUST_NOW)
        };
        let same = last.filter(is_same);
        RemoteEnd { proof, serial: same.map(|last| last.peer.serial.clone()) }
    }
}

/// A secret bound to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BoundSecret {
    peer: Peer,
    secret: Secret,
}

impl BoundSecret {
    pub(super) fn new(secret: Secret, peer: &Peer) -> Self {
        Self { peer: peer.clone(), secret }
    }

    /// Returns whether `text` contains the secret: the part of a header that is the token or the value of the cookie.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let header = self.secret.expose();
        let secret = header.rsplit_once([' ', '=']).map_or(header, |(_, secret)| secret).as_bytes();
        !secret.is_empty() && text.windows(secret.len()).any(|part| part == secret)
    }

    /// Returns the secret if the connection leads to its peer.
    pub(super) fn reveal(&self, remote: &RemoteEnd) -> Option<&Secret> {
        (remote.compare(&self.peer) == Comparison::Same).then_some(&self.secret)
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

    fn secret(peer: &Peer) -> BoundSecret {
        BoundSecret::new(Secret::new("eyJ".to_owned()), peer)
    }

    #[test]
    fn a_key_proves_the_identity_on_every_connection() {
        let (now, known) = (Instant::now(), peer(1, Proof::Key(key(1))));
        let last = LastSeen::new(known.clone(), now);
        let hour_later = now + Duration::from_secs(3600);
        let same = LastSeen::remote_end(Some(&last), Proof::Key(key(1)), hour_later);
        assert!(secret(&known).reveal(&same).is_some());
        for proof in [Proof::Key(key(2)), Proof::Clear, Proof::Unproven] {
            let other = LastSeen::remote_end(Some(&last), proof, now);
            assert_eq!(other.compare(&known), Comparison::OtherProof(proof));
            assert_eq!(secret(&known).reveal(&other), None);
        }
    }

    #[test]
    fn a_connection_without_proof_must_identify_itself() {
        for proof in [Proof::Unproven, Proof::Clear] {
            let (now, known) = (Instant::now(), peer(1, proof));
            let last = LastSeen::new(known.clone(), now);
            let mut later = LastSeen::remote_end(Some(&last), proof, now + JUST_NOW);
            assert_eq!(secret(&known).reveal(&later), None);
            later.identified_as(&serial(2));
            assert_eq!(secret(&known).reveal(&later), None);
            later.identified_as(&serial(1));
            assert!(secret(&known).reveal(&later).is_some());
            let at_once = LastSeen::remote_end(Some(&last), proof, now + Duration::from_secs(1));
            assert!(secret(&known).reveal(&at_once).is_some());
        }
    }

    fn proofs() -> impl Strategy<Value = Proof> {
        prop_oneof![(1..3u8).prop_map(|n| Proof::Key(key(n))), Just(Proof::Unproven), Just(Proof::Clear)]
    }

    proptest! {
        /// Over random connections, identified or not, the secret is revealed only for its own serial number and proof.
        #[test]
        fn a_secret_is_revealed_only_for_its_serial_and_proof(
            own in (1..3u8, proofs()),
            connections in proptest::collection::vec((proofs(), proptest::option::of(1..3u8), 0..4u64), 1..20),
        ) {
            let own = peer(own.0, own.1);
            let (mut now, mut last) = (Instant::now(), None);
            for (proof, named, pause) in connections {
                now += Duration::from_secs(pause);
                let mut remote = LastSeen::remote_end(last.as_ref(), proof, now);
                if let Some(number) = named {
                    remote.identified_as(&serial(number));
                    last = Some(LastSeen::new(peer(number, proof), now));
                }
                let revealed = secret(&own).reveal(&remote).is_some();
                let is_own = |seen: &LastSeen| seen.peer == own && seen.peer.proof == proof;
                prop_assert!(!revealed || last.as_ref().is_some_and(is_own));
            }
        }
    }
}
