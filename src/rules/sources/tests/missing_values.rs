//! Values that are missing on a page, or are no numbers.

use super::metered_site::*;
use super::*;

#[test]
fn phases_that_no_other_page_has_are_said_to_be_missing() {
    let (mut sources, start) = (metered(), Instant::now());
    let bare = well(Endpoint::ProductionJson).unwrap().replace("\"lines\"", "\"none\"");
    let bare: &'static str = bare.leak();
    let page = |endpoint| match endpoint {
        Endpoint::MeterReadings => failing(endpoint, "500"),
        Endpoint::ProductionJson => Ok(bare),
        _ => answering(&[])(endpoint),
    };
    for tick in 0..4 {
        assert_eq!(poll(&mut sources, start + MINUTE * tick, page).1.unwrap().phases, []);
    }
    let notices = sources.notices();
    assert!(notices[0].message.ends_with("; import and export, phases missing"), "{notices:?}");
}

#[test]
fn a_single_number_that_is_none_is_taken_from_the_next_page() {
    let (mut sources, start) = (metered(), Instant::now());
    let odd = well(Endpoint::MeterReadings).unwrap().replacen("1502.5", "nan", 1);
    let odd: &'static str = odd.leak();
    let page = |endpoint| match endpoint {
        Endpoint::MeterReadings => Ok(odd),
        _ => answering(&[])(endpoint),
    };
    for tick in 0..4 {
        let reading = poll(&mut sources, start + 30 * SECOND * tick, page).1.unwrap();
        assert_eq!(numbers(&reading)[..4], WELL[..4]);
        assert!(reading.grid.unwrap().import_wh.is_some(), "nothing else is lost");
    }
    let notices = sources.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].message.contains("production power, house power"), "{notices:?}");
}

#[test]
fn a_number_that_is_none_is_not_passed_over_in_silence_where_nothing_else_has_it() {
    let (mut sources, start) = (metered(), Instant::now());
    let odd = well(Endpoint::DeviceData).unwrap().replace("\"max\":1800", "\"max\":-inf");
    let odd: &'static str = odd.leak();
    let page = |endpoint| match endpoint {
        Endpoint::DeviceData => Ok(odd),
        _ => answering(&[])(endpoint),
    };
    for tick in 0..30 {
        poll(&mut sources, start + 30 * SECOND * tick, page);
    }
    let notices = sources.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].message.starts_with("/ivp/pdm/device_data contains values that are not numbers"),
        "{notices:?}"
    );
}

#[test]
fn inverters_that_vanish_from_their_page_are_missed() {
    let (mut sources, start) = (metered(), Instant::now());
    let refused = [(Endpoint::DeviceData, "401")];
    assert_eq!(poll(&mut sources, start, answering(&refused)).1.unwrap().inverters.len(), 2);
    let pages = [(Endpoint::DeviceData, "401"), (Endpoint::Inverters, "list")];
    minutes(&mut sources, start + 5 * MINUTE, 30, &pages);
    let said = sources.notices();
    let missing = said.iter().filter(|notice| notice.message.contains("inverters missing"));
    assert_eq!(missing.count(), 1, "{said:?}");
}

#[test]
fn a_field_that_a_page_no_longer_shows_is_said_to_be_missing_and_to_be_back() {
    for (page, from, to, words) in [
        (Endpoint::MeterReadings, r#""voltage":230"#, r#""voltage":7"#, "power of production on L1"),
        (Endpoint::MeterReadings, r#""voltage":230"#, r#""voltage":null"#, "voltage of production on L1"),
        (
            Endpoint::MeterReadings,
            r#""actEnergyRcvd":5000000,"voltage""#,
            r#""voltage""#,
            "export of grid on L1",
        ),
        (
            Endpoint::MeterReadings,
            r#""actEnergyDlvd":4000000,"actEnergyRcvd":5000000,"voltage""#,
            r#""actEnergyRcvd":5000000,"voltage""#,
            "import of grid on L1",
        ),
        (Endpoint::EnsembleSecctrl, "1680", "-1", "available energy of storage"),
        (Endpoint::EnsembleSecctrl, "1680", r#""n/a""#, "available energy of storage"),
        (Endpoint::EnsemblePower, "500000", "99999999999", "power of storage, power of each battery"),
        (
            Endpoint::EnsembleInventory,
            "\"temperature\":22",
            "\"temperature\":255",
            "temperature of each battery",
        ),
        (Endpoint::DeviceData, "1787399880", "1787300000", "power of the inverters"),
        (
            Endpoint::Meters,
            r#""state":"enabled","measurementType":"net"#,
            r#""state":null,"measurementType":"net"#,
            "power of the grid, import and export of the grid, power of the house, energy of the house",
        ),
    ] {
        // The plain reports are missing too, so that nothing replaces the details.
        let ill = changed(page, from, to);
        let ill =
            |endpoint| if endpoint == Endpoint::Inverters { failing(endpoint, "404") } else { ill(endpoint) };
        let [before, meanwhile, after] = notices_around(ill);
        assert_eq!(before, [""; 0]);
        let expected = format!("{} no longer shows {words}", page.path());
        assert!(meanwhile.len() == 1 && meanwhile[0].starts_with(&expected), "{expected}: {meanwhile:?}");
        assert!(
            after.len() == 1 && after[0].starts_with(&format!("{} works again after", page.path())),
            "{after:?}"
        );
    }
}

#[test]
fn a_sum_on_the_page_that_lacks_its_meter_is_named_as_such() {
    let (mut sources, start) = (metered(), Instant::now());
    let odd: &'static str = well(Endpoint::ProductionJson).unwrap().replacen("1502.5", "null", 1).leak();
    minutes(&mut sources, start, 5, &[(Endpoint::MeterReadings, "500")]);
    let page = |endpoint| match endpoint {
        Endpoint::MeterReadings => failing(endpoint, "500"),
        Endpoint::ProductionJson => Ok(odd),
        _ => answering(&[])(endpoint),
    };
    for tick in 5..9 {
        poll(&mut sources, start + MINUTE * tick, page);
    }
    let said: Vec<_> = sources.notices().into_iter().map(|notice| notice.message).collect();
    assert!(
        said.iter().any(|words| words.contains("production power from the sum of the inverters instead")),
        "{said:?}"
    );
}

#[test]
fn a_total_that_its_page_loses_is_said() {
    let (mut sources, start) = (
        Sources::new(Info { metered_model: Some(false), ..info() }, Options::default(), Instant::now()),
        Instant::now(),
    );
    let gateway = |lifetime: &'static str| {
        move |endpoint: Endpoint| match endpoint {
            Endpoint::Production => Ok(lifetime),
            _ => failing(endpoint, "404"),
        }
    };
    poll(
        &mut sources,
        start,
        gateway(r#"{"wattHoursLifetime":9000000,"wattHoursToday":3000,"wattsNow":1502}"#),
    );
    for tick in 1..5 {
        poll(
            &mut sources,
            start + MINUTE * tick,
            gateway(r#"{"wattHoursLifetime":null,"wattHoursToday":3000,"wattsNow":1502}"#),
        );
    }
    let said: Vec<_> = sources.notices().into_iter().map(|notice| notice.message).collect();
    assert!(
        said.iter()
            .any(|words| words
                .starts_with("/api/v1/production lacks expected values: production energy missing")),
        "{said:?}"
    );
}
