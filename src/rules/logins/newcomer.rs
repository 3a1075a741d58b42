//! Prevents automatic logins for a second serial number in the place of a known gateway.
//!
//! A gateway reports its serial number before it is authenticated, so a device at its address could report a new one
//! at every poll. The first serial number in a place is trusted, because a new installation has nothing to compare it
//! with. For a second one, the operator has to request the token, or to configure the serial number.

use crate::base::reading::Serial;

/// A `[[gateway]]` table of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The configured serial number, which needs no confirmation.
    pub serial: Option<Serial>,
    /// The configured address; `None` if the gateway is found by mDNS.
    pub address: Option<String>,
}

/// A gateway that has been seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The serial number.
    pub serial: Serial,
    /// The last address, as configured or announced by mDNS; `None` if it is unknown.
    pub address: Option<String>,
    /// The gateway has a token, or the cloud was contacted for it.
    pub is_established: bool,
}

/// Returns `true` if another gateway is known in the place of `serial`, so that only the operator may request a token.
pub fn is_newcomer(serial: &Serial, places: &[Place], seen: &[Seen]) -> bool {
    let own = seen.iter().find(|one| one.serial == *serial);
    let is_configured = places.iter().any(|place| place.serial.as_ref() == Some(serial));
    if is_configured || own.is_some_and(|own| own.is_established) {
        return false;
    }
    let address = own.and_then(|own| own.address.as_deref());
    let others: Vec<&Seen> = seen.iter().filter(|one| one.serial != *serial && one.is_established).collect();
    if others.iter().any(|other| other.address.is_some() && other.address.as_deref() == address) {
        return true;
    }
    // A place is free while no known gateway belongs there. One with a serial number is reserved for that gateway.
    let is_free =
        |place: &&Place| place.serial.is_none() && !others.iter().any(|other| belongs(other, place));
    let has_place = |other: &&Seen| places.iter().any(|place| belongs(other, place));
    let own_place = places.iter().any(|place| place.address.is_some() && place.address.as_deref() == address);
    let (unplaced, free) = if own_place {
        // Gateways last seen at another address were not at this one.
        let unplaced = others.iter().filter(|other| other.address.is_none() && !has_place(other));
        let free = places.iter().filter(is_free).filter(|place| place.address.as_deref() != address);
        (unplaced.count(), free.count())
    } else {
        // The gateway was found by mDNS, or its address is unknown: it occupies one of the free places.
        let unplaced = others.iter().filter(|other| !has_place(other));
        let free = places.iter().filter(is_free);
        let free = free.filter(|place| place.address.is_none() || address.is_none());
        (unplaced.count(), free.count().saturating_sub(1))
    };
    unplaced > free
}

/// Returns `true` if `seen` is the gateway of the configured `place`.
fn belongs(seen: &Seen, place: &Place) -> bool {
    let by_serial = place.serial.as_ref() == Some(&seen.serial);
    by_serial || place.serial.is_none() && place.address.is_some() && place.address == seen.address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(number: u8) -> Serial {
        Serial::parse(&format!("12230000000{number}")).unwrap()
    }

    fn at(address: &str) -> Place {
        Place { serial: None, address: Some(address.to_owned()) }
    }

    fn called(number: u8) -> Place {
        Place { serial: Some(serial(number)), address: None }
    }

    fn found() -> Place {
        Place::default()
    }

    /// Returns a gateway without a token that was seen at `address`.
    fn answers(number: u8, address: &str) -> Seen {
        Seen { serial: serial(number), address: Some(address.to_owned()), is_established: false }
    }

    fn known(number: u8, address: &str) -> Seen {
        Seen { is_established: true, ..answers(number, address) }
    }

    fn lost(number: u8) -> Seen {
        Seen { address: None, ..known(number, "") }
    }

    fn judge(number: u8, places: &[Place], seen: &[Seen]) -> bool {
        is_newcomer(&serial(number), places, seen)
    }

    #[test]
    fn a_first_installation_has_no_newcomers() {
        assert!(!judge(1, &[at("a")], &[answers(1, "a")]));
        assert!(!judge(1, &[found()], &[answers(1, "b")]));
        assert!(!judge(1, &[], &[]), "what is not known is not held against it");
        let both = [answers(1, "a"), answers(2, "b")];
        assert!(!judge(1, &[at("a"), at("b")], &both) && !judge(2, &[at("a"), at("b")], &both));
    }

    #[test]
    fn a_second_serial_number_at_one_address_is_a_newcomer_until_a_person_says_otherwise() {
        let seen = [known(1, "a"), answers(2, "a")];
        assert!(judge(2, &[at("a")], &seen));
        assert!(judge(2, &[], &seen));
        assert!(!judge(1, &[at("a")], &seen), "the first stays what it was");
        assert!(
            !judge(2, &[Place { serial: Some(serial(2)), ..at("a") }], &seen),
            "the configuration is his word"
        );
        assert!(
            !judge(2, &[at("a")], &[known(1, "a"), known(2, "a")]),
            "a token that he brought is his word"
        );
        assert!(judge(3, &[at("a")], &[known(1, "a"), known(2, "a"), answers(3, "a")]));
    }

    #[test]
    fn gateways_at_addresses_of_their_own_are_no_newcomers() {
        let places = [at("a"), at("b")];
        assert!(!judge(2, &places, &[known(1, "a"), answers(2, "b")]));
        assert!(judge(3, &places, &[known(1, "a"), known(2, "b"), answers(3, "b")]));
        assert!(judge(3, &places, &[known(1, "a"), answers(3, "a")]));
        // A configuration that was changed to another gateway of the same owner.
        assert!(!judge(2, &[at("b")], &[known(1, "a"), answers(2, "b")]));
    }

    #[test]
    fn a_gateway_whose_place_was_forgotten_may_have_been_here_unless_another_place_waits_for_it() {
        assert!(judge(2, &[at("a")], &[lost(1), answers(2, "a")]));
        assert!(!judge(2, &[at("a"), at("b")], &[lost(1), answers(2, "a")]));
        assert!(judge(3, &[at("a"), at("b")], &[lost(1), lost(2), answers(3, "a")]));
        assert!(judge(3, &[at("a"), at("b")], &[lost(1), known(2, "b"), answers(3, "a")]));
    }

    #[test]
    fn a_gateway_whose_own_address_is_not_known_takes_any_place_that_waits() {
        assert!(!judge(2, &[at("a"), at("b")], &[lost(1)]));
        assert!(judge(2, &[at("a")], &[lost(1)]));
        assert!(judge(3, &[at("a"), at("b")], &[lost(1), lost(2)]));
    }

    #[test]
    fn by_mdns_only_as_many_are_found_as_are_configured() {
        assert!(judge(2, &[found()], &[known(1, "a"), answers(2, "b")]), "wherever it was found");
        assert!(judge(2, &[found()], &[lost(1), answers(2, "b")]));
        assert!(!judge(2, &[found(), at("a")], &[known(1, "a"), answers(2, "b")]));
        assert!(!judge(2, &[found(), called(1)], &[known(1, "a"), answers(2, "b")]));
        assert!(judge(3, &[found(), called(1)], &[known(1, "a"), known(2, "b"), answers(3, "c")]));
        assert!(
            judge(2, &[found(), called(9)], &[known(1, "a"), answers(2, "b")]),
            "9 alone is waited for there"
        );
    }
}
