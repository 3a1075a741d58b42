//! The pages of a metered gateway, and the ways in which each of them fails.

use super::*;
use crate::base::units::WattHours;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// The time of the meters' values.
pub(super) const NOW: i64 = 1_787_400_000;

/// Returns the pages of a metered gateway, which agree with each other as on a real one.
pub(super) fn well(endpoint: Endpoint) -> Option<&'static str> {
    Some(match endpoint {
        Endpoint::Meters => METERS,
        Endpoint::MeterReadings => {
            r#"[{"eid":1,"timestamp":1787400000,"activePower":1502.5,"actEnergyDlvd":9000000,"actEnergyRcvd":3,
                "channels":[{"activePower":1502.5,"actEnergyDlvd":9000000,"voltage":230}]},
                {"eid":2,"timestamp":1787400000,"activePower":-700,"actEnergyDlvd":4000000,"actEnergyRcvd":5000000,
                "channels":[{"activePower":-700,"actEnergyDlvd":4000000,"actEnergyRcvd":5000000,"voltage":230}]}]"#
        }
        Endpoint::ProductionJson => {
            r#"{"production":[{"type":"inverters","activeCount":8,"readingTime":1787399940,"wNow":1490,"whLifetime":8900000},
                {"type":"eim","activeCount":1,"measurementType":"production","readingTime":1787400000,"wNow":1502.5,
                "whLifetime":9000000,"lines":[{"wNow":1502.5,"whLifetime":9000000,"rmsVoltage":230}]}],
                "consumption":[{"type":"eim","activeCount":1,"measurementType":"total-consumption",
                "readingTime":1787400000,"wNow":802.5,"whLifetime":8000900,
                "lines":[{"wNow":802.5,"whLifetime":8000900,"rmsVoltage":230}]},
                {"type":"eim","activeCount":1,"measurementType":"net-consumption","readingTime":1787400000,"wNow":-700,
                "whLifetime":-999900,"lines":[{"wNow":-700,"whLifetime":-999900,"rmsVoltage":230}]}]}"#
        }
        Endpoint::Production => r#"{"wattHoursLifetime":9000000,"wattHoursToday":3000,"wattsNow":1502}"#,
        Endpoint::Energy => r#"{"production":{"pcu":{"wattHoursLifetime":8900000,"wattsNow":1488}}}"#,
        Endpoint::Inverters => {
            r#"[{"serialNumber":"1","lastReportDate":1787399880,"lastReportWatts":740,"maxReportWatts":900,"devType":1},
                {"serialNumber":"2","lastReportDate":1787399880,"lastReportWatts":740,"maxReportWatts":900,"devType":1}]"#
        }
        Endpoint::DeviceData => {
            r#"{"1":{"devName":"pcu","sn":"1","active":true,"channels":[{"watts":{"now":1490,"max":1800},
                "lastReading":{"endDate":1787399880,"duration":300,"joulesProduced":447000},
                "lifetime":{"joulesProduced":36000000}}]},"deviceCount":1,"deviceDataLimit":50}"#
        }
        Endpoint::EnsembleInventory => "[]",
        _ => return None,
    })
}

/// Returns all failures of a page, as bodies or errors.
pub(super) const FAILURES: [&str; 16] = [
    "204", "empty", "blanks", "html", "cut", "null", "text", "number", "object", "list", "401", "403", "404",
    "500", "503", "hangs",
];

pub(super) fn failing(endpoint: Endpoint, how: &str) -> Result<&'static str, Error> {
    let path = endpoint.path();
    let status = |status| Err(Error::Failing { status, path });
    match how {
        "204" | "empty" => Ok(""),
        "blanks" => Ok(" \n\t"),
        "html" => Ok("<!DOCTYPE html><html><body>Please wait</body></html>"),
        "cut" => Ok(well(endpoint).map_or("[", |page| &page[..page.len() / 2])),
        "null" => Ok("null"),
        "text" => Ok("\"busy\""),
        "number" => Ok("7"),
        // A list instead of an object, and so on.
        "object" => {
            Ok(if well(endpoint).is_some_and(|page| page.starts_with('[')) { "{\"a\":1}" } else { "[]" })
        }
        "list" => Ok("[]"),
        "401" => Err(Error::Forbidden { status: 401, path }),
        "403" => Err(Error::Forbidden { status: 403, path }),
        "404" => Err(Error::Missing { path }),
        "503" => Err(Error::Busy { status: 503, path, retry_after: None }),
        "hangs" => {
            let address = "192.168.1.20".to_owned();
            Err(Error::Unreachable {
                address,
                path,
                stage: Stage::Response,
                why: "timed out after 45 s".to_owned(),
            })
        }
        _ => status(500),
    }
}

pub(super) fn answering<'a>(
    failing_pages: &'a [(Endpoint, &'a str)],
) -> impl Fn(Endpoint) -> Result<&'static str, Error> + 'a {
    move |endpoint| match failing_pages.iter().find(|(page, _)| *page == endpoint) {
        Some((_, how)) => failing(endpoint, how),
        None => well(endpoint).ok_or(Error::Missing { path: endpoint.path() }),
    }
}

pub(super) fn metered() -> Sources {
    let info = Info { time: Timestamp::from_second(NOW).ok(), firmware: Firmware::new(8, 3, 5027), ..info() };
    Sources::new(info, Options::default(), Instant::now())
}

/// Returns production, grid, house, and the totals of production and house.
pub(super) fn numbers(reading: &Reading) -> [Option<f64>; 5] {
    let (production, house) = (reading.production.as_ref(), reading.consumption.as_ref());
    let watts = |power: Option<Watts>| power.map(Watts::value);
    [
        watts(production.and_then(|it| it.power_w)),
        watts(reading.grid.as_ref().and_then(|it| it.power_w)),
        watts(house.and_then(|it| it.power_w)),
        production.and_then(|it| it.energy_wh).map(WattHours::value),
        house.and_then(|it| it.energy_wh).map(WattHours::value),
    ]
}

pub(super) const WELL: [Option<f64>; 5] = [Some(1502.5), Some(-700.0), Some(802.5), Some(9e6), Some(8e6)];

/// Polls every 30 seconds for ninety minutes. Returns the requested pages and the reading of each poll.
pub(super) fn minutes(
    sources: &mut Sources,
    from: Instant,
    minutes: u32,
    pages: &[(Endpoint, &str)],
) -> Vec<(Vec<Endpoint>, Option<Reading>)> {
    (0..2 * minutes).map(|tick| poll(sources, from + 30 * SECOND * tick, answering(pages))).collect()
}

pub(super) fn levels(sources: &mut Sources) -> Vec<(Level, &'static str)> {
    let notices = sources.notices();
    notices.into_iter().map(|notice| (notice.level, notice.kind)).collect()
}

/// Returns the pages of a metered gateway with a battery, with one page replaced.
pub(super) fn changed(
    page: Endpoint,
    from: &str,
    to: &str,
) -> impl Fn(Endpoint) -> Result<&'static str, Error> {
    let body = with_battery(page).unwrap();
    assert!(body.contains(from), "{page:?} has no {from}");
    let body: &'static str = body.replacen(from, to, 1).leak();
    move |endpoint| if endpoint == page { Ok(body) } else { with_battery(endpoint) }
}

pub(super) fn with_battery(endpoint: Endpoint) -> Result<&'static str, Error> {
    match endpoint {
        Endpoint::EnsembleInventory => Ok(r#"[{"type":"ENCHARGE","devices":[{"serial_num":"122320000401",
            "percentFull":50,"temperature":22,"encharge_capacity":3360,"last_rpt_date":1787399900}]}]"#),
        Endpoint::EnsemblePower => {
            Ok(r#"{"devices:":[{"serial_num":"122320000401","real_power_mw":500000,"soc":50}]}"#)
        }
        Endpoint::EnsembleSecctrl => Ok(
            r#"{"agg_soc":50,"ENC_agg_soc":50,"ENC_agg_avail_energy":1680,"Enc_max_available_capacity":3360}"#,
        ),
        _ => well(endpoint).ok_or(Error::Missing { path: endpoint.path() }),
    }
}

/// Returns the notices of twenty good minutes, an hour with `ill`, and twenty good minutes.
pub(super) fn notices_around(ill: impl Fn(Endpoint) -> Result<&'static str, Error>) -> [Vec<String>; 3] {
    let (mut sources, start) = (metered(), Instant::now());
    let mut part = |from: u32, until: u32, answer: &dyn Fn(Endpoint) -> Result<&'static str, Error>| {
        for tick in 2 * from..2 * until {
            poll(&mut sources, start + 30 * SECOND * tick, answer);
        }
        sources.notices().into_iter().map(|notice| notice.message).collect()
    };
    [part(0, 20, &with_battery), part(20, 80, &ill), part(80, 150, &with_battery)]
}
