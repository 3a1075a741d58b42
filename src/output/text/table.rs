//! Formats a reading as a table for the terminal.

use jiff::{SignedDuration, Timestamp};

use crate::base::printable::is_printable;
use crate::base::reading::{Condition, Inverter, Phase, PhaseValues, Reading};
use crate::base::units::WattHours;
use crate::output::text::amounts::{age, energy, power, size};
use crate::output::text::line::battery_word;
use crate::output::text::paint::Paint;
use crate::output::text::totals::{Row, rows};
use crate::output::text::{OLD, Style, newest_stamp};

/// Formats the reading as a table, without the groups that are not measured.
pub fn table(reading: &Reading, style: &Style) -> String {
    let mut table = Table { style, newest: newest_stamp(reading), out: String::new() };
    table.title(reading);
    table.totals(reading);
    table.phases(&reading.phases);
    table.batteries(reading);
    table.inverters(&reading.inverters);
    table.surroundings(reading);
    table.out
}

struct Table<'a> {
    style: &'a Style,
    newest: Option<Timestamp>,
    out: String,
}

impl Table<'_> {
    fn push(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.out.push('\n');
        let painted = Paint::Bold.on(text, self.style.colour);
        self.push(&painted);
    }

    /// Formats the age of a value, if it is at least [`OLD`].
    fn old(&self, measured_at: Option<Timestamp>) -> Option<String> {
        let old = self.newest?.duration_since(measured_at?);
        (old >= OLD).then(|| format!("{} old", age(old)))
    }

    fn title(&mut self, reading: &Reading) {
        let gateway = &reading.gateway;
        let time = reading.time.to_zoned(self.style.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z");
        let kind = if gateway.metered { "metered" } else { "without meters" };
        let name = format!("Gateway {}", word(gateway.serial.as_str()));
        let name = Paint::Bold.on(&name, self.style.colour);
        let since = self.style.now.duration_since(reading.time);
        let ago = (since >= SignedDuration::from_mins(1)).then(|| format!("  {} ago", age(since)));
        let ago = ago.unwrap_or_default();
        self.push(&format!("{name}  firmware {}  {kind}  {time}{ago}", word(&gateway.firmware)));
    }

    fn totals(&mut self, reading: &Reading) {
        let rows = rows(reading);
        if rows.is_empty() {
            return;
        }
        let heading =
            format!("{:10} {:>8}  {:11} {:>9} {:>9} {:>9}", "", "now", "", "today", "yesterday", "total");
        self.heading(&heading);
        for row in rows {
            let line = self.row(&row);
            self.push(&line);
        }
    }

    fn row(&self, row: &Row) -> String {
        let now = format!("{:>8}", row.now.as_deref().unwrap_or_default());
        let now = row.paint.map_or(now.clone(), |paint| paint.on(&now, self.style.colour));
        let amount = |wh: Option<WattHours>| wh.map(energy).unwrap_or_default();
        let (today, yesterday, total) = (amount(row.today), amount(row.yesterday), amount(row.total));
        let old = self.old(row.measured_at).unwrap_or_default();
        let old = Paint::Dim.on(&old, self.style.colour);
        format!("{:10} {now}  {:11} {today:>9} {yesterday:>9} {total:>9}  {old}", row.name, row.word)
    }

    fn phases(&mut self, phases: &[Phase]) {
        if phases.is_empty() {
            return;
        }
        let heading = format!(
            "{:10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>8}",
            "Phase", "sun", "house", "grid", "battery", "voltage", "current", "mains"
        );
        self.heading(&heading);
        for phase in phases {
            let watts = |values: &Option<PhaseValues>| shown(values.as_ref().and_then(|v| v.power_w), power);
            let meter = phase.grid.as_ref().or(phase.production.as_ref()).or(phase.consumption.as_ref());
            let line = format!(
                "{:10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>8}",
                word(&phase.phase),
                watts(&phase.production),
                watts(&phase.consumption),
                watts(&phase.grid),
                watts(&phase.storage),
                shown(meter.and_then(|v| v.voltage_v), |volts| format!("{:.1} V", volts.value())),
                shown(meter.and_then(|v| v.current_a), |amperes| format!("{:.2} A", amperes.value())),
                shown(meter.and_then(|v| v.frequency_hz), |hertz| format!("{:.2} Hz", hertz.value())),
            );
            self.push(&line);
        }
    }

    fn batteries(&mut self, reading: &Reading) {
        if reading.batteries.is_empty() {
            return;
        }
        self.heading(&format!("Batteries ({})", reading.batteries.len()));
        for battery in &reading.batteries {
            let charge = shown(battery.soc_percent, |percent| format!("{:.0} %", percent.value()));
            let watts = shown(battery.power_w, |watts| format!("{} {}", battery_word(watts), size(watts)));
            let warmth = shown(battery.temperature_c, |celsius| format!("{:.0} °C", celsius.value()));
            let old = self.old(battery.reported_at).unwrap_or_default();
            let line = format!(
                "{:14} {:9} {charge:>5}  {watts:20} {warmth:>6}  {old}",
                word(battery.serial.as_str()),
                word(&battery.kind)
            );
            self.push(&line);
        }
    }

    /// Appends the inverters in as many columns as fit: serial number, power, age of the report.
    fn inverters(&mut self, inverters: &[Inverter]) {
        const GAP: usize = 2;
        let Some(serial) =
            inverters.iter().map(|inverter| word(inverter.serial.as_str()).chars().count()).max()
        else {
            return;
        };
        let cell = serial + 1 + 5 + 1 + 6;
        let columns = ((self.style.width + GAP) / (cell + GAP)).max(1);
        self.heading(&format!("Inverters ({})", inverters.len()));
        for row in inverters.chunks(columns) {
            let cells: Vec<String> = row.iter().map(|inverter| self.inverter(inverter, serial)).collect();
            self.push(&cells.join(&" ".repeat(GAP)));
        }
    }

    fn inverter(&self, inverter: &Inverter, serial: usize) -> String {
        let reported = self.newest.zip(inverter.reported_at).map(|(newest, at)| newest.duration_since(at));
        let watts = shown(inverter.power_w, power);
        let age = format!("{:>6}", shown(reported, age));
        let age = Paint::Dim.on(&age, self.style.colour);
        format!("{:serial$} {watts:>5} {age}", word(inverter.serial.as_str()))
    }

    /// Appends the remaining facts, wrapped to the width of the terminal.
    fn surroundings(&mut self, reading: &Reading) {
        let mut line = String::new();
        for fact in facts(reading) {
            if line.is_empty() {
                line = format!("\n{fact}");
            } else if line.chars().count() + 2 + fact.chars().count() < self.style.width {
                line = format!("{line}, {fact}");
            } else {
                self.push(&format!("{line},"));
                line = fact;
            }
        }
        if !line.is_empty() {
            self.push(&line);
        }
    }
}

/// Collects the conditions of inverters, the states of switches and the storage settings.
fn facts(reading: &Reading) -> Vec<String> {
    let mut facts = Vec::new();
    for inverter in &reading.inverters {
        match inverter.condition {
            Some(Condition::Silent) => {
                facts.push(format!("inverter {} is silent", word(inverter.serial.as_str())));
            }
            Some(Condition::Weak) => {
                facts.push(format!("inverter {} is weak", word(inverter.serial.as_str())));
            }
            Some(Condition::Good) | None => {}
        }
    }
    if let Some(state) = reading.grid_connection.as_ref().and_then(|group| group.state.as_deref()) {
        facts.push(format!("grid connection {}", word(state)));
    }
    for contact in &reading.dry_contacts {
        facts.push(format!(
            "{} {}",
            word(&contact.id),
            contact.state.as_deref().map_or("unknown".to_owned(), word)
        ));
    }
    if let Some(state) = reading.generator.as_ref().and_then(|group| group.state.as_deref()) {
        facts.push(format!("generator {}", word(state)));
    }
    if let Some(mode) = reading.tariff.as_ref().and_then(|group| group.mode.as_deref()) {
        facts.push(word(mode));
    }
    if let Some(reserve) = reading.tariff.as_ref().and_then(|group| group.reserve_percent) {
        facts.push(format!("reserve {:.0} %", reserve.value()));
    }
    facts
}

/// Truncates a text of the gateway, and removes characters that are not printable.
fn word(text: &str) -> String {
    text.chars().filter(|c| is_printable(*c)).take(24).collect()
}

fn shown<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map(show).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::base::test_readings;

    fn style(colour: bool) -> Style {
        Style {
            width: 80,
            colour,
            now: test_readings::at("11:19:40"),
            zone: TimeZone::fixed(jiff::tz::offset(1)),
        }
    }

    #[test]
    fn everything_has_its_place() {
        insta::assert_snapshot!(table(&test_readings::full(), &style(false)), @r"
        Gateway 122300000000  firmware 8.3.5289  metered  2026-11-20 12:19:31 +01

                        now                  today yesterday     total
        Production  3.78 kW               14.8 kWh  18.2 kWh  4.55 MWh
        House         851 W               4.32 kWh  11.0 kWh  9.87 MWh
        Grid        2.58 kW  exporting
                             imported       950 Wh            6.00 MWh
                             exported     9.12 kWh             672 kWh
        Battery       350 W  charging                                   10 min old
                       80 %  5.60 kWh of 7.00 kWh
                             charged                          1.20 MWh
                             discharged                       1.10 MWh

        Phase           sun    house     grid  battery  voltage current    mains
        L1          1.26 kW    284 W   -860 W   -117 W  230.4 V  5.47 A 50.00 Hz
        L2          1.26 kW    285 W   -859 W   -116 W  231.4 V  5.47 A 50.00 Hz
        L3          1.26 kW    286 W   -858 W   -115 W  232.4 V  5.47 A 50.00 Hz

        Batteries (2)
        492200000001   encharge   80 %  charging 175 W        24 °C
        492200000002   acb        80 %  charging 175 W        24 °C

        Inverters (2)
        482200000001 245 W  8 min  482200000002 238 W 14 min

        grid connection closed, NC1 open, generator off, self-consumption,
        reserve 20 %
        ");
    }

    #[test]
    fn what_is_not_measured_is_not_there() {
        insta::assert_snapshot!(table(&test_readings::bare(), &style(false)), @r"
        Gateway 122300000001  firmware 7.6.175  without meters  2026-11-20 12:19:31 +01

                        now                  today yesterday     total
        Production    483 W                                    812 kWh

        Inverters (2)
        482200000001 245 W  3 min  482200000002 238 W  9 min
        ");
    }

    #[test]
    fn an_old_reading_says_so() {
        let late = Style { now: test_readings::at("13:30:00"), ..style(false) };
        let first = table(&test_readings::bare(), &late).lines().next().unwrap().to_owned();
        assert!(first.ends_with("2 h ago"), "{first}");
    }

    #[test]
    fn an_inverter_that_is_silent_or_weak_is_named() {
        let mut reading = test_readings::bare();
        reading.inverters = vec![
            test_readings::inverter("482200000001", 0.0, 4),
            test_readings::inverter("482200000002", 20.0, 4),
        ];
        reading.inverters[0].condition = Some(Condition::Silent);
        reading.inverters[1].condition = Some(Condition::Good);
        let shown = table(&reading, &style(false));
        assert!(shown.contains("inverter 482200000001 is silent"), "{shown}");
        assert!(!shown.contains("482200000002 is"), "{shown}");
    }

    #[test]
    fn inverters_stand_side_by_side_as_far_as_the_terminal_is_wide() {
        let mut reading = test_readings::bare();
        reading.inverters =
            (0..7).map(|n| test_readings::inverter(&format!("48220000000{n}"), 240.0, 4 + n)).collect();
        let rows = |width| {
            let text = table(&reading, &Style { width, ..style(false) });
            text.lines().filter(|line| line.starts_with("4822")).count()
        };
        assert_eq!((rows(20), rows(80), rows(200)), (7, 3, 1));
    }

    #[test]
    fn colours_change_nothing_but_colour() {
        let (plain, mut painted) =
            (table(&test_readings::full(), &style(false)), table(&test_readings::full(), &style(true)));
        assert!(painted.contains('\x1b') && !plain.contains('\x1b'));
        for sequence in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            painted = painted.replace(sequence, "");
        }
        let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trimmed(&painted), trimmed(&plain));
    }

    proptest! {
        #[test]
        fn eighty_columns_are_enough(reading in test_readings::any()) {
            for line in table(&reading, &style(false)).lines() {
                prop_assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}
