//! Short names of gateways, which distinguish them.

use super::house::words;
use crate::base::reading::Serial;

/// The digits of a serial number that people compare.
const DIGITS: usize = 4;

/// Returns a name for each gateway: the one in the configuration, otherwise the last digits of its serial number, as many as
/// distinguish it. Gateways with the same name get both.
pub fn names(gateways: &[(&Serial, Option<&str>)]) -> Vec<String> {
    let configured: Vec<Option<String>> = gateways.iter().map(|(_, name)| name.map(words)).collect();
    let is_unique = |name: &Option<String>| configured.iter().filter(|other| *other == name).count() == 1;
    let ending = |serial: &Serial| {
        let others = || gateways.iter().map(|(other, _)| *other).filter(|other| *other != serial);
        let whole = serial.as_str();
        let endings = (DIGITS..whole.len()).filter_map(|digits| whole.get(whole.len() - digits..));
        let found =
            endings.into_iter().find(|ending| !others().any(|other| other.as_str().ends_with(ending)));
        found.map_or_else(|| whole.to_owned(), |ending| format!("…{ending}"))
    };
    let named = |((serial, _), name): (&(&Serial, _), &Option<String>)| match name {
        Some(words) if is_unique(name) => words.clone(),
        Some(words) => format!("{words} ({})", ending(serial)),
        None if gateways.len() == 1 => format!("Gateway {serial}"),
        None => format!("Gateway {}", ending(serial)),
    };
    gateways.iter().zip(&configured).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(gateways: &[(&str, Option<&str>)]) -> Vec<String> {
        let serials: Vec<Serial> =
            gateways.iter().map(|(serial, _)| Serial::parse(serial).unwrap()).collect();
        let gateways: Vec<_> =
            serials.iter().zip(gateways).map(|(serial, (_, name))| (serial, *name)).collect();
        names(&gateways)
    }

    #[test]
    fn a_name_is_as_short_as_it_can_be() {
        assert_eq!(named(&[("122300001003", None)]), ["Gateway 122300001003"]);
        assert_eq!(
            named(&[("122300001003", None), ("122300002002", None), ("122300003003", Some("Barn"))]),
            ["Gateway …1003", "Gateway …2002", "Barn"]
        );
        assert_eq!(
            named(&[("122300001003", None), ("122399991003", None)]),
            ["Gateway …01003", "Gateway …91003"]
        );
        assert_eq!(named(&[("1", None), ("12", None)]), ["Gateway 1", "Gateway 12"]);
        assert_eq!(named(&[("11003", None), ("1003", None)]), ["Gateway 11003", "Gateway 1003"]);
    }

    #[test]
    fn equal_names_are_distinguished() {
        assert_eq!(
            named(&[("122300001003", Some("Roof")), ("122300002002", Some("Roof")), ("122300003003", None)]),
            ["Roof (…1003)", "Roof (…2002)", "Gateway …3003"]
        );
    }
}
