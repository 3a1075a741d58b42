//! Formats a reading on one line.

use jiff::tz::TimeZone;

use crate::base::reading::{Reading, Storage};
use crate::base::units::Watts;
use crate::output::text::amounts::{power, size};

/// Formats a reading on one line, without a line break:
/// `12:00:30  sun 3.78 kW  house 1.20 kW  grid -2.58 kW (exporting)  battery 80 %`.
pub fn line(reading: &Reading, zone: &TimeZone) -> String {
    let time = reading.time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
    let mut parts = vec![time];
    if let Some(watts) = reading.production.as_ref().and_then(|group| group.power_w) {
        parts.push(format!("sun {}", power(watts)));
    }
    if let Some(watts) = reading.consumption.as_ref().and_then(|group| group.power_w) {
        parts.push(format!("house {}", power(watts)));
    }
    if let Some(watts) = reading.grid.as_ref().and_then(|group| group.power_w) {
        parts.push(format!("grid {} ({})", power(watts), grid_word(watts)));
    }
    if let Some(text) = reading.storage.as_ref().and_then(battery) {
        parts.push(format!("battery {text}"));
    }
    if parts.len() == 1 {
        parts.push("nothing measured yet".to_owned());
    }
    parts.join("  ")
}

/// Formats a reading for `systemctl status`: `3.78 kW from the sun, house 851 W, exporting 2.58 kW, battery 80 %`.
pub fn status(reading: &Reading) -> String {
    let mut parts = Vec::new();
    if let Some(watts) = reading.production.as_ref().and_then(|group| group.power_w) {
        parts.push(format!("{} from the sun", power(watts)));
    }
    if let Some(watts) = reading.consumption.as_ref().and_then(|group| group.power_w) {
        parts.push(format!("house {}", power(watts)));
    }
    if let Some(watts) = reading.grid.as_ref().and_then(|group| group.power_w) {
        parts.push(format!("{} {}", grid_word(watts), size(watts)));
    }
    if let Some(text) = reading.storage.as_ref().and_then(battery) {
        parts.push(format!("battery {text}"));
    }
    if parts.is_empty() { "nothing measured yet".to_owned() } else { parts.join(", ") }
}

/// Returns `importing`, `exporting`, or `idle` for less than half a watt.
pub(in crate::output) fn grid_word(power: Watts) -> &'static str {
    direction(power, ["importing", "exporting"])
}

/// Returns `discharging`, `charging`, or `idle` for less than half a watt.
pub(in crate::output) fn battery_word(power: Watts) -> &'static str {
    direction(power, ["discharging", "charging"])
}

fn direction(power: Watts, [positive, negative]: [&'static str; 2]) -> &'static str {
    match power.value() {
        watts if watts >= 0.5 => positive,
        watts if watts <= -0.5 => negative,
        _ => "idle",
    }
}

fn battery(storage: &Storage) -> Option<String> {
    let charge = storage.soc_percent.map(|percent| format!("{:.0} %", percent.value()));
    let flow = storage.power_w.map(|watts| match battery_word(watts) {
        "idle" => "idle".to_owned(),
        word => format!("{word} {}", size(watts)),
    });
    let parts: Vec<String> = charge.into_iter().chain(flow).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::reading::Grid;
    use crate::base::test_readings;

    #[test]
    fn a_poll_is_one_line_in_local_time() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        insta::assert_snapshot!(line(&test_readings::full(), &zone), @"12:19:31  sun 3.78 kW  house 851 W  grid -2.58 kW (exporting)  battery 80 % charging 350 W");
        insta::assert_snapshot!(line(&test_readings::bare(), &zone), @"12:19:31  sun 483 W");
    }

    #[test]
    fn the_status_is_said_in_words() {
        insta::assert_snapshot!(status(&test_readings::full()), @"3.78 kW from the sun, house 851 W, exporting 2.58 kW, battery 80 % charging 350 W");
        insta::assert_snapshot!(status(&test_readings::bare()), @"483 W from the sun");
    }

    #[test]
    fn without_values_it_says_so() {
        let reading = Reading::empty(test_readings::at("11:00:00"), test_readings::bare().gateway);
        assert_eq!(line(&reading, &TimeZone::UTC), "11:00:00  nothing measured yet");
        assert_eq!(status(&reading), "nothing measured yet");
    }

    #[test]
    fn the_direction_follows_the_sign() {
        let words = |watts| {
            let watts = Watts::new(watts).unwrap();
            (grid_word(watts), battery_word(watts))
        };
        assert_eq!(words(350.0), ("importing", "discharging"));
        assert_eq!(words(-350.0), ("exporting", "charging"));
        assert_eq!(words(-0.2), ("idle", "idle"));
    }

    #[test]
    fn the_line_never_breaks() {
        let mut reading = test_readings::bare();
        reading.grid = Some(Grid { power_w: Watts::new(350.0), ..Grid::default() });
        assert!(line(&reading, &TimeZone::UTC).ends_with("grid 350 W (importing)"));
    }
}
