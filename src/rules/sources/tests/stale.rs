//! Pages whose values stand still.

use super::metered_site::*;
use super::*;
use crate::base::units::WattHours;

#[test]
fn readings_that_stand_still_are_replaced_by_those_of_the_next_page() {
    let (mut sources, start) = (metered(), Instant::now());
    let old = well(Endpoint::MeterReadings).unwrap().replace("1787400000", "1787399340");
    let old: &'static str = old.leak();
    let stale = |endpoint| match endpoint {
        Endpoint::MeterReadings => Ok(old),
        _ => answering(&[])(endpoint),
    };
    for tick in 0..10 {
        let reading = poll(&mut sources, start + 30 * SECOND * tick, stale).1.unwrap();
        assert_eq!(numbers(&reading)[..4], WELL[..4], "poll {tick}");
        assert_eq!(reading.production.unwrap().measured_at, Timestamp::from_second(NOW).ok());
    }
    let notices = sources.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].message.contains("is not updated") && notices[0].message.contains("11 min behind"),
        "{notices:?}"
    );
}

#[test]
fn a_page_without_a_stamp_is_not_taken_for_a_meter_that_stands_still() {
    let (mut sources, start) = (metered(), Instant::now());
    let old = well(Endpoint::MeterReadings).unwrap().replace("1787400000", "1787399340");
    let old: &'static str = old.leak();
    let only = |endpoint| match endpoint {
        Endpoint::Meters | Endpoint::Production => answering(&[])(endpoint),
        Endpoint::MeterReadings => Ok(old),
        _ => failing(endpoint, "500"),
    };
    assert_eq!(poll(&mut sources, start, only).1, None);
    // Without readings, nothing shows that the meter is not updated.
    let without = |endpoint| {
        if endpoint == Endpoint::MeterReadings { failing(endpoint, "500") } else { only(endpoint) }
    };
    let production = poll(&mut sources, start + MINUTE, without).1.unwrap().production.unwrap();
    assert_eq!((production.power_w, production.energy_wh), (Watts::new(1502.0), None));
}

#[test]
fn details_that_stand_still_are_replaced_by_the_plain_reports() {
    let (mut sources, start) = (metered(), Instant::now());
    let old = changed(Endpoint::DeviceData, "1787399880", "1787300000");
    for tick in 0..3 {
        let reading = poll(&mut sources, start + 10 * MINUTE * tick, &old).1.unwrap();
        let powers: Vec<_> = reading.inverters.iter().map(|inverter| inverter.power_w).collect();
        assert_eq!(powers, [Watts::new(740.0); 2]);
    }
    let notices = sources.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].message.contains("device_data is not updated"), "{notices:?}");
    // If both are stale, only lasting values are shown.
    let neither = |endpoint| match endpoint {
        Endpoint::Inverters => Ok(
            r#"[{"serialNumber":"1","lastReportDate":1787300000,"lastReportWatts":740,"maxReportWatts":900}]"#,
        ),
        _ => old(endpoint),
    };
    let inverters = poll(&mut sources, start + 60 * MINUTE, neither).1.unwrap().inverters;
    assert_eq!((inverters[0].power_w, inverters[0].energy_wh), (None, WattHours::new(10_000.0)));
}

#[test]
fn a_page_that_stands_still_from_the_start_is_not_said_to_be_back_because_it_is_forgotten() {
    let info = Info {
        time: Timestamp::from_second(NOW + 900).ok(),
        firmware: Firmware::new(5, 0, 49),
        metered_model: None,
        ..info()
    };
    let (mut sources, start) = (Sources::new(info, Options::default(), Instant::now()), Instant::now());
    let only = |endpoint| match endpoint {
        Endpoint::ProductionJson => {
            Ok(r#"{"production":[{"type":"eim","activeCount":1,"readingTime":1787400000,"wNow":5}]}"#)
        }
        Endpoint::Inverters => {
            Ok(r#"[{"serialNumber":"1","lastReportDate":1787400890,"lastReportWatts":740}]"#)
        }
        _ => failing(endpoint, "404"),
    };
    for tick in 0..120 {
        poll(&mut sources, start + 30 * SECOND * tick, only);
    }
    let notices: Vec<_> = sources.notices().into_iter().map(|notice| notice.message).collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("is not updated"), "{notices:?}");
}

#[test]
fn the_inverters_sum_of_a_page_that_stands_still_is_no_power() {
    let (mut sources, start) = (metered(), Instant::now());
    poll(&mut sources, start, answering(&[]));
    // First the whole page is a day old or has no timestamps; then only the meters are not updated.
    for (stamp, power) in [("1787300000", 1490.0), ("0", 1490.0), ("1787399940", 1488.0)] {
        let old = well(Endpoint::ProductionJson).unwrap();
        let old = old.replace("1787400000", "1787300000").replace("1787399940", stamp);
        let old: &'static str = old.replace("\"wNow\":1490", "\"wNow\":1488").leak();
        let page = |endpoint| match endpoint {
            Endpoint::MeterReadings => failing(endpoint, "500"),
            Endpoint::ProductionJson => Ok(old),
            _ => answering(&[])(endpoint),
        };
        let production = poll(&mut sources, start + 10 * MINUTE, page).1.unwrap().production.unwrap();
        assert_eq!(production.power_w, Watts::new(power), "{stamp}");
        assert_eq!(production.energy_wh, None);
        sources = metered();
        poll(&mut sources, start, answering(&[]));
    }
}
