//! What is said when no page yields production, or a page may not be read.

use super::metered_site::*;
use super::*;

#[test]
fn no_production_by_any_page_is_an_outage_that_names_the_pages() {
    let (mut sources, start) = (metered(), Instant::now());
    for tick in 0..3 {
        let empty = |endpoint| match endpoint {
            Endpoint::Inverters => Ok("[]"),
            _ => Ok::<_, Error>(""),
        };
        ask(&mut sources, start + MINUTE * tick, empty);
        let Cycle::NoProduction { why, rest: None } = sources.cycle(Timestamp::UNIX_EPOCH) else { panic!() };
        for page in [
            "/ivp/meters (it is empty)",
            "/production.json?details=1 (it is empty)",
            "inverters (shows none)",
        ] {
            assert!(why.contains(page), "{why}");
        }
    }
    assert_eq!(sources.notices(), [], "the outage says it");
}

#[test]
fn what_else_is_measured_comes_with_the_outage() {
    let (mut sources, start) = (metered(), Instant::now());
    poll(&mut sources, start, answering(&[]));
    let lost = Endpoint::ALL.into_iter().filter(|page| *page != Endpoint::Meters).map(|page| (page, "404"));
    let lost: Vec<(Endpoint, &str)> = lost.collect();
    let net = |endpoint| match endpoint {
        Endpoint::MeterReadings => {
            Ok(r#"[{"eid":2,"timestamp":1787400000,"activePower":70,"actEnergyDlvd":4}]"#)
        }
        _ => answering(&lost)(endpoint),
    };
    ask(&mut sources, start + 20 * MINUTE, net);
    let Cycle::NoProduction { rest: Some(rest), why } = sources.cycle(Timestamp::UNIX_EPOCH) else {
        panic!()
    };
    assert_eq!((rest.production, rest.grid.unwrap().power_w), (None, Watts::new(70.0)));
    assert!(why.contains("/ivp/meters/readings (shows none)"), "{why}");
}

#[test]
fn a_site_that_produces_nothing_is_no_outage_as_long_as_every_page_says_so() {
    let only_net = |endpoint| match endpoint {
        Endpoint::Meters => Ok(r#"[{"eid":1,"state":"disabled","measurementType":"production"},
                {"eid":2,"state":"enabled","measurementType":"net-consumption","phaseCount":1}]"#),
        Endpoint::Production => Ok(r#"{"wattHoursLifetime":0,"wattHoursToday":0,"wattsNow":0}"#),
        Endpoint::Energy => Ok(r#"{"production":{"pcu":{"wattHoursLifetime":0,"wattsNow":0}}}"#),
        Endpoint::ProductionJson => {
            Ok(r#"{"production":[{"type":"inverters","activeCount":0}],"consumption":[]}"#)
        }
        Endpoint::Inverters => Ok("[]"),
        Endpoint::DeviceData => Ok(r#"{"deviceCount":0,"deviceDataLimit":50}"#),
        _ => answering(&[])(endpoint),
    };
    let (mut sources, start) = (metered(), Instant::now());
    for tick in 0..5 {
        let reading = poll(&mut sources, start + MINUTE * tick, only_net).1.unwrap();
        assert_eq!((reading.production, reading.grid.unwrap().power_w), (None, Watts::new(-700.0)));
    }
    // A single failing page may be the one with the value.
    let broken = |endpoint| {
        if endpoint == Endpoint::ProductionJson { failing(endpoint, "500") } else { only_net(endpoint) }
    };
    ask(&mut sources, start + 30 * MINUTE, broken);
    assert!(matches!(sources.cycle(Timestamp::UNIX_EPOCH), Cycle::NoProduction { rest: Some(_), .. }));
}

#[test]
fn words_fit_the_access_that_is_used() {
    let old = Info { web_tokens: None, firmware: Firmware::new(5, 0, 62), ..info() };
    let cases = [
        (info(), Endpoint::DeviceData, "the token's role"),
        (old, Endpoint::Inverters, "the gateway's user"),
    ];
    for (info, page, words) in cases {
        let (mut sources, start) = (Sources::new(info, Options::default(), Instant::now()), Instant::now());
        poll(&mut sources, start, answering(&[(page, "401")]));
        let notices = sources.notices();
        assert!(notices[0].message.starts_with(words), "{notices:?}");
    }
}

#[test]
fn a_page_that_is_refused_is_said_once_whether_it_answered_before_or_not() {
    for (from, count) in [(0, 1), (5, 1)] {
        let (mut sources, start) = (metered(), Instant::now());
        minutes(&mut sources, start, from, &[]);
        minutes(&mut sources, start + from * MINUTE, 30, &[(Endpoint::DeviceData, "401")]);
        let begun: Vec<_> = sources.notices().into_iter().map(|notice| notice.message).collect();
        assert_eq!(begun.len(), count, "{begun:?}");
        minutes(&mut sources, start + 40 * MINUTE, 90, &[]);
        let ended: Vec<_> = sources.notices().into_iter().map(|notice| notice.message).collect();
        assert_eq!(ended.len(), 1, "{from}: {ended:?}");
    }
}
