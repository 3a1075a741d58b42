//! The inverters, from the detailed page if it is complete, else from the plain one.

use jiff::Timestamp;

use super::age;
use super::site::Site;
use crate::base::reading::Inverter;
use crate::base::units::{WattHours, Watts};
use crate::io::gateway::Endpoint;
use crate::io::gateway::wire::Stamp;
use crate::io::gateway::wire::device_data::{Device, DeviceData};
use crate::io::gateway::wire::inverters::{InverterReport, Inverters};

/// Returns the inverters, sorted by serial number, at the gateway's time `clock`.
///
/// An inverter that has never reported to this gateway is left out: it may be a neighbour's. If the last report is too
/// old, only the lifetime total, the maximum power and the time of the report remain.
pub(super) fn inverters(
    detailed: Option<&DeviceData>,
    plain: Option<&Inverters>,
    clock: Option<Timestamp>,
) -> Vec<Inverter> {
    let mut inverters: Vec<Inverter> = match (detailed, plain) {
        (Some(page), _) if page.complete() => {
            page.inverters.iter().filter_map(|device| of_device(device, clock)).collect()
        }
        (_, Some(page)) => {
            let rows = page.0.iter().filter(|row| row.is_inverter());
            rows.filter_map(|row| of_report(row, clock)).collect()
        }
        _ => Vec::new(),
    };
    // The newer of two rows for one inverter is used.
    let newest_first = |inverter: &Inverter| std::cmp::Reverse(inverter.reported_at);
    inverters.sort_by(|one, other| {
        one.serial.cmp(&other.serial).then_with(|| newest_first(one).cmp(&newest_first(other)))
    });
    inverters.dedup_by(|one, other| one.serial == other.serial);
    inverters.shrink_to_fit();
    inverters
}

/// Returns `true` if an inverter belongs to this gateway: it has reported, or has produced before.
fn has_lived(reported: Stamp, max_power: Option<Watts>, energy: Option<WattHours>) -> bool {
    reported != Stamp::Never
        || max_power.is_some_and(|power| power > Watts::ZERO)
        || energy.is_some_and(|energy| energy > WattHours::ZERO)
}

/// Returns `true` if no report on the detailed page is current.
pub(super) fn details_are_stale(site: &Site<'_>) -> bool {
    let devices = site.pages.device_data.as_ref().map_or(&[][..], |kept| &kept.page.inverters);
    !devices.is_empty() && !devices.iter().any(|device| age::is_current(device.reported, site.time))
}

/// Returns `true` if the detailed page is stale and the plain one is not, or has not been read yet.
pub(super) fn plain_is_better(site: &Site<'_>) -> bool {
    details_are_stale(site)
        && match &site.pages.inverters {
            Some(kept) => kept.page.0.iter().any(|row| age::is_current(row.reported, site.time)),
            None => site.offers(Endpoint::Inverters) && site.requests.why(Endpoint::Inverters).is_none(),
        }
}

fn of_device(device: &Device, clock: Option<Timestamp>) -> Option<Inverter> {
    if !has_lived(device.reported, device.max_power, device.energy) {
        return None;
    }
    let old = Inverter {
        max_power_w: device.max_power,
        energy_wh: device.energy,
        reported_at: device.reported.at(),
        ..Inverter::unmeasured(device.serial.clone())
    };
    if !age::is_current(device.reported, clock) {
        return Some(old);
    }
    Some(Inverter {
        power_w: device.power,
        voltage_v: device.voltage,
        current_a: device.current,
        frequency_hz: device.frequency,
        dc_voltage_v: device.dc_voltage,
        dc_current_a: device.dc_current,
        temperature_c: device.temperature,
        ..old
    })
}

fn of_report(row: &InverterReport, clock: Option<Timestamp>) -> Option<Inverter> {
    if !has_lived(row.reported, row.max_power, None) {
        return None;
    }
    Some(Inverter {
        power_w: if age::is_current(row.reported, clock) { row.power } else { None },
        max_power_w: row.max_power,
        reported_at: row.reported.at(),
        ..Inverter::unmeasured(row.serial.clone()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns serial number, power and maximum power at the gateway's time 1782036900.
    fn plain(rows: &str) -> Vec<(String, Option<f64>, Option<f64>)> {
        let page = Inverters::parse(rows.as_bytes()).unwrap();
        let inverters = inverters(None, Some(&page), Timestamp::from_second(1_782_036_900).ok());
        let shown = |inverter: Inverter| {
            let watts = |power: Option<Watts>| power.map(Watts::value);
            (inverter.serial.to_string(), watts(inverter.power_w), watts(inverter.max_power_w))
        };
        inverters.into_iter().map(shown).collect()
    }

    #[test]
    fn the_neighbours_inverters_are_left_out() {
        let rows = r#"[{"serialNumber":"1","lastReportDate":1782036780,"lastReportWatts":99,"maxReportWatts":294},
            {"serialNumber":"2","lastReportDate":0,"lastReportWatts":0,"maxReportWatts":0}]"#;
        assert_eq!(plain(rows), [("1".to_owned(), Some(99.0), Some(294.0))]);
    }

    #[test]
    fn one_that_reported_before_and_not_since_the_boot_has_no_power() {
        let rows = r#"[{"serialNumber":"1","lastReportDate":0,"lastReportWatts":0,"maxReportWatts":294}]"#;
        assert_eq!(plain(rows), [("1".to_owned(), None, Some(294.0))]);
    }

    #[test]
    fn a_report_of_years_ago_is_no_power_and_last_nights_is() {
        let rows = r#"[{"serialNumber":"1","lastReportDate":1531390500,"lastReportWatts":13,"maxReportWatts":131},
            {"serialNumber":"2","lastReportDate":1781980000,"lastReportWatts":2,"maxReportWatts":129},
            {"serialNumber":"3","lastReportWatts":7,"maxReportWatts":120}]"#;
        let powers: Vec<_> = plain(rows).into_iter().map(|(_, power, _)| power).collect();
        assert_eq!(powers, [None, Some(2.0), Some(7.0)]);
    }

    #[test]
    fn the_newer_of_two_rows_holds_and_a_negative_number_without_its_sign_is_none() {
        let rows = r#"[{"serialNumber":"1","lastReportDate":1782036000,"lastReportWatts":50},
            {"serialNumber":"1","lastReportDate":1782036900,"lastReportWatts":80},
            {"serialNumber":"2","lastReportDate":1782036900,"lastReportWatts":4294967292},
            {"serialNumber":"1","lastReportDate":1782035100,"lastReportWatts":20}]"#;
        assert_eq!(plain(rows), [("1".to_owned(), Some(80.0), None), ("2".to_owned(), None, None)]);
    }

    #[test]
    fn a_device_that_was_not_heard_of_shows_what_stays_true() {
        let page = DeviceData::parse(
            br#"{"1":{"devName":"pcu","sn":"1","active":true,"channels":[{"watts":{"now":0,"max":371},
                "lastReading":{"endDate":1781900000,"duration":900,"joulesProduced":9000,"acVoltageINmV":231000},
                "lifetime":{"joulesProduced":3600000}}]},
                "2":{"devName":"pcu","sn":"2","active":true,"channels":[{"watts":{"now":0,"max":0},
                "lastReading":{"endDate":0,"joulesProduced":0},"lifetime":{"joulesProduced":0}}]}}"#,
        )
        .unwrap();
        let shown = inverters(Some(&page), None, Timestamp::from_second(1_782_036_900).ok());
        assert_eq!(shown.len(), 1);
        assert_eq!((shown[0].power_w, shown[0].voltage_v), (None, None));
        assert_eq!((shown[0].max_power_w, shown[0].energy_wh), (Watts::new(371.0), WattHours::new(1000.0)));
    }
}
