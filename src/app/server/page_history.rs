//! The part of the history that the page shows: of one gateway, or of all together.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::context::Context;
use crate::app::history::{chart, sum_chart};
use crate::app::status::{Place, Status};
use crate::base::reading::Serial;
use crate::io::history::{Error, HistoryFile, gateways};
use crate::output::page::{Found, History, NotAView, Rows, View, names};

/// The name of all gateways in a query.
const ALL: &str = "all";

/// The part of the history that is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    view: Option<View>,
    /// `None` for all gateways.
    gateway: Option<Serial>,
}

/// Understands a query.
pub(super) fn asked(query: &str) -> Result<Asked, NotAView> {
    let mut asked = Asked::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if let Some(view) = View::parse(&name, &value) {
            asked.view = Some(view?);
        } else if name == "gateway" && value != ALL {
            asked.gateway = Some(Serial::parse(&value).map_err(|_invalid| NotAView)?);
        }
    }
    Ok(asked)
}

/// The gateways that are read now.
#[derive(Clone, Debug)]
enum Current {
    These(Vec<Serial>),
    /// The serial number of one is not known yet: it may be any.
    Any,
}

impl Current {
    fn of(places: &[Place]) -> Self {
        let configured = || places.iter().filter(|place| place.status != Status::Removed);
        let serials: Vec<Serial> = configured().filter_map(|place| place.serial.clone()).collect();
        if serials.len() == configured().count() { Self::These(serials) } else { Self::Any }
    }

    fn has(&self, gateway: &Serial) -> bool {
        match self {
            Self::These(serials) => serials.contains(gateway),
            Self::Any => true,
        }
    }
}

/// The rows of a view, with the gateway that they belong to; `None` for all together.
type Chosen = (Option<Serial>, Found);

/// Reads the part of the history that is asked for: today, and all gateways, unless another is named.
pub(super) async fn history(context: &Context, asked: Asked) -> History {
    let today = context.clock.now().to_zoned(context.zone.clone()).date();
    let view = asked.view.unwrap_or(View::Day(today));
    let mut known: BTreeMap<Serial, Option<Arc<str>>> = {
        let reader = context.latest.reader();
        let snapshot = reader.borrow();
        let named = snapshot.gateways().map(|(serial, gateway)| {
            let name = gateway.reading.as_ref().and_then(|reading| reading.value.gateway.name.as_deref());
            (serial.clone(), name.map(Arc::from))
        });
        named.collect()
    };
    let (gateway, rows) = match &context.history {
        None => (None, Rows::Off),
        Some(reader) => {
            let (file, zone) = (reader.file.clone(), context.zone.clone());
            let current = Current::of(&context.statuses.reader().borrow());
            let serials: Vec<Serial> = known.keys().cloned().collect();
            let wanted = asked.gateway.clone();
            let read = move || {
                let all = recorded(&file, serials)?;
                let (gateway, found) = choose(&file, (wanted, &all), &current, view, (today, &zone))?;
                Ok((all, gateway, found))
            };
            match reader.run(read).await {
                Ok((all, gateway, found)) => {
                    for serial in all {
                        known.entry(serial).or_default();
                    }
                    (gateway, Rows::Found(found))
                }
                Err(Error::Absent) => (asked.gateway, Rows::Found(Found::default())),
                Err(error) => (asked.gateway, Rows::Unavailable(error.to_string())),
            }
        }
    };
    let listed: Vec<(&Serial, Option<&str>)> =
        known.iter().map(|(serial, name)| (serial, name.as_deref())).collect();
    let gateways = listed.iter().map(|(serial, _)| (*serial).clone()).zip(names(&listed)).collect();
    History { view, gateway, gateways, today, zone: context.zone.clone(), rows }
}

/// Returns all gateways: those that are known, and those that were recorded earlier.
fn recorded(file: &HistoryFile, mut known: Vec<Serial>) -> Result<Vec<Serial>, Error> {
    for gateway in gateways(file)? {
        if !known.contains(&gateway) {
            known.push(gateway);
        }
    }
    Ok(known)
}

/// Reads the rows of the gateway that is asked for, of the only one, or of all.
fn choose(
    file: &HistoryFile,
    (wanted, all): (Option<Serial>, &[Serial]),
    current: &Current,
    view: View,
    day: (Date, &jiff::tz::TimeZone),
) -> Result<Chosen, Error> {
    let only = match all {
        [only] => Some(only.clone()),
        _ => None,
    };
    match wanted.or(only) {
        Some(gateway) => {
            let found = chart::found(file, &gateway, view, day)?;
            Ok((Some(gateway), found))
        }
        None => Ok((None, sum_chart::found(file, &|gateway| current.has(gateway), view, day)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(serial: Option<&str>, status: Status) -> Place {
        let serial = serial.map(|serial| Serial::parse(serial).unwrap());
        Place { address: String::new(), serial, status }
    }

    #[test]
    fn a_gateway_that_another_has_replaced_is_not_read_any_more() {
        let (one, other) = (Serial::parse("1").unwrap(), Serial::parse("2").unwrap());
        let read = Status::Read(String::new());
        let current = Current::of(&[place(Some("1"), read.clone()), place(Some("2"), Status::Removed)]);
        assert!(current.has(&one) && !current.has(&other));
        let current = Current::of(&[place(Some("1"), read), place(None, Status::Starting)]);
        assert!(current.has(&other), "the gateway that is not known yet may be it");
    }

    #[test]
    fn all_gateways_are_asked_for_unless_one_is_named() {
        assert_eq!(asked("day=2026-06-21").unwrap().gateway, None);
        assert_eq!(asked("day=2026-06-21&gateway=all").unwrap().gateway, None);
        assert_eq!(asked("gateway=1").unwrap().gateway, Some(Serial::parse("1").unwrap()));
        assert!(asked("gateway=../x").is_err());
    }
}
