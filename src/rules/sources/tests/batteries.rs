//! Batteries that vanish, are removed, or whose page fails.

use super::metered_site::*;
use super::*;

#[test]
fn batteries_that_are_gone_are_not_said_to_be_back_before_they_are() {
    for odd in ["[]", "[{}]", r#"[{"type":"ENCHARGE","devices":[]}]"#] {
        let ill =
            |endpoint| if endpoint == Endpoint::EnsembleInventory { Ok(odd) } else { with_battery(endpoint) };
        let [_, meanwhile, after] = notices_around(ill);
        assert!(meanwhile.len() == 1 && meanwhile[0].ends_with("batteries missing"), "{odd}: {meanwhile:?}");
        assert_eq!(after, ["/ivp/ensemble/inventory works again after 1 h"], "{odd}");
    }
}

#[test]
fn batteries_that_are_removed_leave_the_house_after_a_day() {
    for empty in ["[]", r#"[{"type":"ENPOWER","devices":[{"serial_num":"122320000501"}]}]"#] {
        let removed = |endpoint| match endpoint {
            Endpoint::EnsembleInventory => Ok(empty),
            Endpoint::EnsemblePower | Endpoint::EnsembleSecctrl => failing(endpoint, "404"),
            _ => well(endpoint).ok_or(Error::Missing { path: endpoint.path() }),
        };
        let (mut sources, start) = (metered(), Instant::now());
        let house = |reading: Option<Reading>| reading.unwrap().consumption.and_then(|house| house.power_w);
        let at = |minute: u32| start + MINUTE * minute;
        let with = house(poll(&mut sources, at(0), with_battery).1);
        assert_eq!(with, Watts::new(1302.5));
        for minute in 5..23 * 60 {
            let house = house(poll(&mut sources, at(minute), removed).1);
            assert_eq!(house, None, "{empty} {minute}");
        }
        let warned = sources.notices();
        assert!(warned.len() == 1 && warned[0].message.ends_with("batteries missing"), "{warned:?}");
        for minute in 23 * 60..26 * 60 {
            poll(&mut sources, at(minute), removed);
        }
        let notices: Vec<_> = sources.notices().into_iter().map(|notice| notice.kind).collect();
        assert_eq!(notices, ["batteries_removed"], "{empty}");
        let (_, reading) = poll(&mut sources, at(26 * 60), removed);
        let reading = reading.unwrap();
        assert_eq!((reading.storage.clone(), reading.batteries.len()), (None, 0));
        assert_eq!(house(Some(reading)), Watts::new(802.5), "{empty}");
        // They may come back.
        for minute in 26 * 60..29 * 60 {
            poll(&mut sources, at(minute), with_battery);
        }
        assert_eq!(house(poll(&mut sources, at(29 * 60), with_battery).1), with);
        assert!(sources.notices().is_empty());
    }
}

#[test]
fn batteries_whose_page_fails_are_not_taken_for_batteries_that_do_nothing() {
    let ac = |endpoint| match endpoint {
        Endpoint::DeviceData => failing(endpoint, "404"),
        Endpoint::Inverters => {
            Ok(r#"[{"serialNumber":"1","lastReportDate":1787399880,"lastReportWatts":740,"devType":1},
            {"serialNumber":"9","lastReportDate":1787399880,"devType":11}]"#)
        }
        Endpoint::ProductionJson => {
            Ok(r#"{"production":[{"type":"inverters","activeCount":1,"wNow":740,"whLifetime":5}],
            "storage":[{"type":"acb","activeCount":1,"wNow":-120,"whNow":500,"percentFull":40}]}"#)
        }
        _ => with_battery(endpoint),
    };
    for (page, kind) in [
        (Endpoint::EnsembleInventory, "both"),
        (Endpoint::EnsembleInventory, "iq"),
        (Endpoint::Inverters, "both"),
    ] {
        let site = |endpoint| if kind == "iq" { with_battery(endpoint) } else { ac(endpoint) };
        let expected = if kind == "iq" { 1302.5 } else { 1182.5 };
        for how in FAILURES {
            let (mut sources, start) = (metered(), Instant::now());
            let ill = |endpoint| if endpoint == page { failing(endpoint, how) } else { site(endpoint) };
            let (mut shown, mut missing) = (0, 0);
            for tick in 0..120 {
                let now = start + 30 * SECOND * tick;
                let well = !(10..80).contains(&tick);
                let Some(reading) =
                    (if well { poll(&mut sources, now, site) } else { poll(&mut sources, now, ill) }).1
                else {
                    continue;
                };
                match reading.consumption.as_ref().and_then(|house| house.power_w) {
                    Some(power) => assert_eq!(
                        power,
                        Watts::new(expected).unwrap(),
                        "{page:?}, {kind}, {how}, poll {tick}"
                    ),
                    None => missing += 1,
                }
                shown += u32::from(well && reading.consumption.is_some());
                assert!(
                    reading.storage.is_none_or(|it| it.power_w == Watts::new(expected - 802.5)),
                    "{page:?}, {kind}, {how}, poll {tick}"
                );
                assert!(reading.grid.is_some() && reading.production.is_some(), "{page:?}, {kind}, {how}");
            }
            assert!(
                shown >= 38 && (missing > 0) == (page == Endpoint::EnsembleInventory),
                "{page:?}, {kind}, {how}: {shown}, {missing}"
            );
        }
    }
}
