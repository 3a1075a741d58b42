//! A gateway that starts together with this machine: its pages are refused or empty for a while, and then work.

use super::*;

const TICK: Duration = Duration::from_secs(30);

#[test]
fn pages_that_are_refused_while_the_gateway_starts_are_asked_again_at_the_next_poll() {
    for refuse in [
        |endpoint: Endpoint| Error::Missing { path: endpoint.path() },
        |endpoint: Endpoint| Error::Forbidden { status: 401, path: endpoint.path() },
        |endpoint: Endpoint| Error::Forbidden { status: 403, path: endpoint.path() },
        |endpoint: Endpoint| Error::Failing { status: 502, path: endpoint.path() },
    ] {
        // For a few seconds, and for an hour.
        for polls in [1, 120] {
            let start = Instant::now();
            let mut sources = Sources::new(info(), Options::default(), start);
            for tick in 0..polls {
                let (asked, reading) = poll(&mut sources, start + TICK * tick, |page| Err(refuse(page)));
                assert_eq!(reading, None);
                assert!(
                    asked.contains(&Endpoint::Meters) && asked.contains(&Endpoint::ProductionJson),
                    "{asked:?}"
                );
            }
            let reading = poll(&mut sources, start + TICK * polls, answer).1.unwrap();
            assert!(reading.production.is_some() && reading.grid.is_some() && reading.inverters.len() == 1);
            let reported = sources.notices();
            assert!(reported.iter().all(|notice| notice.kind == "endpoint_forbidden"), "{reported:?}");
        }
    }
}

#[test]
fn an_empty_list_of_meters_is_not_believed_where_the_model_has_meters() {
    let start = Instant::now();
    let mut sources = Sources::new(info(), Options::default(), start);
    let empty = |endpoint| match endpoint {
        Endpoint::Meters | Endpoint::MeterReadings | Endpoint::Inverters => Ok("[]"),
        Endpoint::ProductionJson => {
            Ok(r#"{"production":[{"type":"inverters","activeCount":1,"wNow":200,"whLifetime":9},
            {"type":"eim","activeCount":0,"measurementType":"production"}]}"#)
        }
        _ => answer(endpoint),
    };
    for tick in 0..4 {
        let reading = poll(&mut sources, start + TICK * tick, empty).1;
        // The inverters' total differs from the meter's, so there is none while the origin is unknown.
        let production = reading.map(|reading| reading.production.unwrap());
        assert!(production.is_none_or(|it| it.power_w == Watts::new(200.0) && it.energy_wh.is_none()));
    }
    let reading = poll(&mut sources, start + TICK * 4, answer).1.unwrap();
    assert_eq!(reading.production.unwrap().energy_wh.unwrap().whole(), 5_000_000);
}

#[test]
fn an_empty_list_of_meters_is_believed_when_it_stays_and_no_meter_is_at_work() {
    let start = Instant::now();
    let info = Info { firmware: Firmware::new(7, 6, 175), ..info() };
    let mut sources = Sources::new(info, Options::default(), start);
    let without = |endpoint| match endpoint {
        Endpoint::Meters => Ok("[]"),
        Endpoint::ProductionJson => {
            Ok(r#"{"production":[{"type":"inverters","activeCount":1,"wNow":200,"whLifetime":900000}]}"#)
        }
        Endpoint::Production => Ok(r#"{"wattHoursLifetime":900000,"wattHoursToday":5,"wattsNow":201}"#),
        _ => answer(endpoint),
    };
    let polls: Vec<_> = (0..240).map(|tick| poll(&mut sources, start + TICK * tick, without)).collect();
    let asked = |endpoint| polls.iter().skip(60).filter(|(asked, _)| asked.contains(&endpoint)).count();
    assert!(asked(Endpoint::Meters) <= 2, "{} requests of the list", asked(Endpoint::Meters));
    assert_eq!(asked(Endpoint::ProductionJson), 0);
    let production = polls.last().unwrap().1.as_ref().unwrap().production.as_ref().unwrap();
    assert_eq!((production.energy_wh.unwrap().whole(), production.source), (900_000, Source::Inverters));
}

#[test]
fn batteries_that_are_not_there_yet_are_looked_for_again_soon() {
    let start = Instant::now();
    let mut sources = Sources::new(info(), Options::default(), start);
    let with = |endpoint| battery_site(endpoint, "");
    let without = |endpoint| if endpoint == Endpoint::EnsembleInventory { Ok("[]") } else { with(endpoint) };
    assert_eq!(poll(&mut sources, start, without).1.unwrap().batteries, []);
    let reading = poll(&mut sources, start + 10 * TICK, with).1.unwrap();
    assert_eq!(reading.batteries.len(), 1);
    // If there are none, the page is requested once an hour.
    let mut sources = Sources::new(info(), Options::default(), start);
    let asked = (0..360).filter(|tick| {
        poll(&mut sources, start + TICK * *tick, without).0.contains(&Endpoint::EnsembleInventory)
    });
    assert!(asked.count() <= 6);
}

#[test]
fn a_page_is_written_off_only_while_the_gateway_works_otherwise() {
    let start = Instant::now();
    let mut sources = Sources::new(info(), Options::default(), start);
    let refused = |endpoint| match endpoint {
        Endpoint::Tariff => Err(Error::Missing { path: endpoint.path() }),
        _ => answer(endpoint),
    };
    let day = 24 * 120;
    let asked: Vec<u32> = (0..day)
        .filter(|tick| poll(&mut sources, start + TICK * *tick, refused).0.contains(&Endpoint::Tariff))
        .collect();
    let minutes: Vec<u32> = asked.windows(2).map(|two| (two[1] - two[0]) / 2).collect();
    assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]);
}
