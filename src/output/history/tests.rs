//! Tests the formats of the history.

use jiff::Timestamp;

use super::*;
use crate::base::reading::Serial;
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::history::rows::Kind;
use crate::rules::history::periods::Length;

fn zone() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn heading(step: Step, of: Kind) -> Heading {
    let (from, to) = (jiff::civil::date(2026, 10, 24), jiff::civil::date(2026, 10, 25));
    Heading { gateway: Serial::parse("122300000001").unwrap(), step, of, from, to }
}

fn samples(format: Format) -> String {
    let wh = WattHours::new;
    let first = Sample {
        start: at("2026-10-25T00:55:00Z"),
        seconds: 300,
        power: [Watts::new(3_600.4), Watts::new(420.0), Watts::new(-2_000.0), Watts::new(-1_180.0)],
        energy: [wh(300.0), wh(35.0), wh(0.0), wh(167.0), wh(98.0), wh(0.0)],
        soc: Percent::new(55.5),
        estimated: true,
    };
    let second = Sample {
        start: at("2026-10-25T01:00:00Z"),
        seconds: 120,
        power: [None; 4],
        energy: [wh(1.0), None, None, None, None, None],
        soc: None,
        estimated: false,
    };
    let (mut rows, mut out) =
        (Rows::new(format, heading(Step::FiveMinutes, Kind::Site), zone()), String::new());
    rows.begin(&mut out);
    rows.sample(&first, &mut out);
    rows.sample(&second, &mut out);
    rows.end(&mut out);
    out
}

fn periods(format: Format, length: Length, of: Kind) -> String {
    let wh = WattHours::new;
    let first = Period {
        start: jiff::civil::date(2026, 10, 24),
        device: if of == Kind::Site { "".into() } else { "122310000101".into() },
        energy: [wh(14_848.0), wh(9_000.0), wh(0.0), wh(5_848.0), None, None],
        days: 8,
        since: at("2026-10-17T06:00:00Z"),
        until: at("2026-10-24T22:00:00Z"),
        estimated: false,
    };
    let second = Period { start: jiff::civil::date(2026, 10, 25), days: 1, estimated: true, ..first.clone() };
    let (mut rows, mut out) = (Rows::new(format, heading(Step::Periods(length), of), zone()), String::new());
    rows.begin(&mut out);
    rows.period(&first, &mut out);
    rows.period(&second, &mut out);
    rows.end(&mut out);
    out
}

#[test]
fn samples_as_csv_have_a_header_with_units_and_local_times_with_their_offset() {
    insta::assert_snapshot!(samples(Format::Csv));
}

#[test]
fn samples_as_json_leave_out_what_is_absent() {
    let text = samples(Format::Json);
    insta::assert_snapshot!(text);
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed["values"].as_array().unwrap().len(), 2);
}

#[test]
fn samples_as_a_table() {
    insta::assert_snapshot!(samples(Format::Table));
}

#[test]
fn periods_in_every_format() {
    let all = [
        periods(Format::Csv, Length::Day, Kind::Site),
        periods(Format::Csv, Length::Month, Kind::Phase),
        periods(Format::Json, Length::Year, Kind::Inverter),
        periods(Format::Table, Length::Day, Kind::Site),
        periods(Format::Table, Length::Month, Kind::Inverter),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn no_rows_are_valid_too() {
    for format in [Format::Csv, Format::Json] {
        let (rows, mut out) =
            (Rows::new(format, heading(Step::FiveMinutes, Kind::Site), zone()), String::new());
        rows.begin(&mut out);
        rows.end(&mut out);
        if format == Format::Json {
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&out).unwrap()["values"],
                serde_json::json!([])
            );
        } else {
            assert_eq!(out.lines().count(), 1);
        }
    }
}
