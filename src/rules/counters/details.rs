//! The totals of phases and inverters. They pass the same guard as those of the site, but an incident that affects
//! several of them is reported in one event.

use crate::base::reading::{Event, PhaseValues, Reading, Serial};
use crate::base::units::WattHours;
use crate::rules::counters::incident::Incident;

/// A total with its name.
pub(super) type Detail<'a> = (String, &'a mut Option<WattHours>);

/// Iterates over the totals of the phases and inverters in `reading`.
pub(super) fn details(reading: &mut Reading) -> impl Iterator<Item = Detail<'_>> {
    let phases = reading.phases.iter_mut().flat_map(|phase| {
        let place = phase.phase.clone();
        let groups = [
            ("production", &mut phase.production),
            ("grid", &mut phase.grid),
            ("consumption", &mut phase.consumption),
            ("storage", &mut phase.storage),
        ];
        groups.into_iter().flat_map(move |(group, values)| {
            let name = format!("{group} on {place}");
            values.as_mut().into_iter().flat_map(move |values| of_phase(&name, values))
        })
    });
    let inverters =
        reading.inverters.iter_mut().map(|inverter| (of_inverter(&inverter.serial), &mut inverter.energy_wh));
    phases.chain(inverters)
}

/// Returns the name of an inverter's total.
pub(super) fn of_inverter(serial: &Serial) -> String {
    format!("inverter {serial}")
}

fn of_phase<'a>(name: &str, values: &'a mut PhaseValues) -> impl Iterator<Item = Detail<'a>> + use<'a> {
    [
        (name.to_owned(), &mut values.energy_wh),
        (format!("{name}, import"), &mut values.import_wh),
        (format!("{name}, export"), &mut values.export_wh),
        (format!("{name}, charged"), &mut values.charged_wh),
        (format!("{name}, discharged"), &mut values.discharged_wh),
    ]
    .into_iter()
    .filter(|(_, total)| total.is_some())
}

/// Creates one event for each kind of incident.
pub(super) fn events(incidents: &[(String, Incident)], time: jiff::Timestamp) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (name, incident) in incidents {
        let kind = incident.kind();
        if events.iter().any(|event| event.kind == kind) {
            continue;
        }
        let more = incidents.iter().filter(|(_, other)| other.kind() == kind).count() - 1;
        let others = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        events.push(Event { time, kind, message: format!("total of {name}{others}: {incident}") });
    }
    events
}
