//! Readings for the tests of the outputs: a full one, one of a gateway without meters, and random ones. The literals list
//! all fields, so that a new field cannot be forgotten here.

use jiff::Timestamp;
use proptest::prelude::*;

use crate::base::reading::{
    Battery, Consumption, DryContact, GatewayFacts, Generator, Grid, GridConnection, Inverter, Phase,
    PhaseValues, Production, Reading, Serial, Source, Storage, Tariff,
};
use crate::base::units::{Amperes, Celsius, Hertz, Percent, PowerFactor, Volts, WattHours, Watts};

/// Returns a time, e.g. `10:19:31` UTC, on the day of the readings.
pub(crate) fn at(time: &str) -> Timestamp {
    format!("2026-11-20T{time}Z").parse().unwrap()
}

/// Returns a reading with all values, at noon on a sunny day, while a battery charges.
pub(crate) fn full() -> Reading {
    let measured_at = Some(at("11:19:30"));
    Reading {
        schema: 1,
        time: at("11:19:31"),
        gateway: GatewayFacts {
            serial: Serial::parse("122300000000").unwrap(),
            name: None,
            firmware: "8.3.5289".to_owned(),
            part_number: Some("800-00555-r03".to_owned()),
            metered: true,
        },
        production: Some(Production {
            power_w: Watts::new(3781.2),
            energy_wh: WattHours::new(4_545_926.4),
            today_wh: WattHours::new(14_848.0),
            yesterday_wh: WattHours::new(18_204.0),
            source: Source::Meter,
            measured_at,
        }),
        consumption: Some(Consumption {
            power_w: Watts::new(851.2),
            energy_wh: WattHours::new(9_874_321.0),
            today_wh: WattHours::new(4_321.0),
            yesterday_wh: WattHours::new(11_020.0),
            measured_at,
        }),
        grid: Some(Grid {
            power_w: Watts::new(-2580.0),
            import_wh: WattHours::new(6_000_001.0),
            export_wh: WattHours::new(671_606.0),
            import_today_wh: WattHours::new(950.0),
            export_today_wh: WattHours::new(9_120.0),
            measured_at,
        }),
        storage: Some(Storage {
            power_w: Watts::new(-350.0),
            soc_percent: Percent::new(80.0),
            charged_wh: WattHours::new(1_200_300.0),
            discharged_wh: WattHours::new(1_100_200.0),
            charged_today_wh: None,
            discharged_today_wh: None,
            energy_estimated: false,
            capacity_wh: WattHours::new(7_000.0),
            available_wh: WattHours::new(5_600.0),
            measured_at: Some(at("11:09:00")),
        }),
        ..surroundings()
    }
}

/// Returns the lists and settings of [`full`].
fn surroundings() -> Reading {
    Reading {
        phases: vec![phase("L1", 0.0), phase("L2", 1.0), phase("L3", 2.0)],
        inverters: vec![inverter("482200000001", 245.0, 11), inverter("482200000002", 238.0, 5)],
        batteries: vec![battery("492200000001", "encharge"), battery("492200000002", "acb")],
        grid_connection: Some(GridConnection {
            state: Some("closed".to_owned()),
            mode: Some("multimode-ongrid".to_owned()),
            wanted: Some("closed".to_owned()),
            temperature_c: Celsius::new(31.5),
            serial: Some(Serial::parse("482100000009").unwrap()),
        }),
        dry_contacts: vec![DryContact {
            id: "NC1".to_owned(),
            state: Some("open".to_owned()),
            name: Some("Pool, \"heat\" pump".to_owned()),
        }],
        generator: Some(Generator {
            state: Some("off".to_owned()),
            mode: Some("manual".to_owned()),
            start_soc_percent: Percent::new(10.0),
            stop_soc_percent: Percent::new(70.0),
        }),
        tariff: Some(Tariff {
            mode: Some("self-consumption".to_owned()),
            reserve_percent: Percent::new(20.0),
            charge_from_grid: Some(false),
        }),
        ..bare()
    }
}

/// Returns a reading of a gateway without meters: the inverters and their sum.
pub(crate) fn bare() -> Reading {
    let mut reading = Reading::empty(
        at("11:19:31"),
        GatewayFacts {
            serial: Serial::parse("122300000001").unwrap(),
            name: None,
            firmware: "7.6.175".to_owned(),
            part_number: None,
            metered: false,
        },
    );
    reading.production = Some(Production {
        power_w: Watts::new(483.0),
        energy_wh: WattHours::new(812_345.0),
        today_wh: None,
        yesterday_wh: None,
        source: Source::Inverters,
        measured_at: Some(at("11:14:02")),
    });
    reading.inverters = vec![inverter("482200000001", 245.0, 11), inverter("482200000002", 238.0, 5)];
    for inverter in &mut reading.inverters {
        *inverter = Inverter {
            energy_wh: None,
            voltage_v: None,
            current_a: None,
            frequency_hz: None,
            dc_voltage_v: None,
            dc_current_a: None,
            temperature_c: None,
            ..inverter.clone()
        };
    }
    reading
}

fn phase(name: &str, step: f64) -> Phase {
    let values = PhaseValues {
        power_w: None,
        energy_wh: None,
        import_wh: None,
        export_wh: None,
        charged_wh: None,
        discharged_wh: None,
        voltage_v: Volts::new(230.412 + step),
        current_a: Amperes::new(5.47),
        frequency_hz: Hertz::new(50.004),
        power_factor: PowerFactor::new(0.99),
    };
    let of = |power: f64| PhaseValues { power_w: Watts::new(power + step), ..values.clone() };
    let energy = WattHours::new(1_515_308.0 + step);
    Phase {
        phase: name.to_owned(),
        production: Some(PhaseValues { energy_wh: energy, ..of(1260.4) }),
        grid: Some(PhaseValues { import_wh: energy, export_wh: WattHours::new(223_868.0), ..of(-860.0) }),
        consumption: Some(PhaseValues { energy_wh: energy, ..of(283.7) }),
        storage: Some(PhaseValues {
            charged_wh: energy,
            discharged_wh: WattHours::new(366_733.0),
            ..of(-116.7)
        }),
    }
}

/// Returns an inverter that reported at 11:00 plus `minutes`.
pub(crate) fn inverter(serial: &str, power: f64, minutes: u32) -> Inverter {
    Inverter {
        serial: Serial::parse(serial).unwrap(),
        power_w: Watts::new(power),
        max_power_w: Watts::new(291.0),
        energy_wh: WattHours::new(406_172.0),
        energy_estimated: false,
        voltage_v: Volts::new(231.2),
        current_a: Amperes::new(1.06),
        frequency_hz: Hertz::new(50.01),
        dc_voltage_v: Volts::new(31.7),
        dc_current_a: Amperes::new(7.9),
        temperature_c: Celsius::new(41.25),
        reported_at: Some(at(&format!("11:{minutes:02}:00"))),
        condition: None,
    }
}

fn battery(serial: &str, kind: &str) -> Battery {
    Battery {
        serial: Serial::parse(serial).unwrap(),
        kind: kind.to_owned(),
        soc_percent: Percent::new(80.0),
        power_w: Watts::new(-175.0),
        temperature_c: Celsius::new(24.0),
        capacity_wh: WattHours::new(3_500.0),
        reported_at: Some(at("11:18:00")),
    }
}

/// Returns a strategy for readings with any groups, values of any size, and names with any characters.
pub(crate) fn any() -> impl Strategy<Value = Reading> {
    let number = || prop::option::of(prop_oneof![-1e9..1e9, -10.0..10.0]);
    let numbers = (number(), number(), number(), number());
    let groups = (any_bool(), any_bool(), any_bool(), any_bool());
    (numbers, groups, "\\PC{0,12}", "[ -~\n\t]{0,12}", 0..4_usize).prop_map(
        |((a, b, c, d), (production, grid, storage, rest), name, word, count)| {
            let watts = |value: Option<f64>| value.and_then(Watts::new);
            let energy = |value: Option<f64>| value.and_then(WattHours::new);
            let mut reading = full();
            reading.production = production.then_some(reading.production).flatten().map(|group| Production {
                power_w: watts(a),
                energy_wh: energy(b),
                ..group
            });
            reading.grid = grid.then_some(reading.grid).flatten().map(|group| Grid {
                power_w: watts(c),
                import_wh: energy(d),
                export_wh: energy(a),
                ..group
            });
            reading.storage = storage
                .then_some(reading.storage)
                .flatten()
                .map(|group| Storage { power_w: watts(d), ..group });
            reading.phases.truncate(count);
            reading.inverters.truncate(count);
            reading.dry_contacts[0].name = Some(name.clone());
            reading.grid_connection = rest.then(|| GridConnection {
                state: Some(word),
                mode: Some(name),
                ..GridConnection::default()
            });
            reading
        },
    )
}

fn any_bool() -> impl Strategy<Value = bool> {
    prop::bool::ANY
}
