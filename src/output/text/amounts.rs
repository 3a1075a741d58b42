//! Formats quantities with three significant digits and a suitable unit. What is rounded is the published value, so that a
//! text agrees with the number in the document.

use jiff::SignedDuration;

use crate::base::units::{WattHours, Watts};

/// Formats a power as `350 W` or `-3.78 kW`.
pub(in crate::output) fn power(power: Watts) -> String {
    scaled(power.published(), ["W", "kW", "MW"])
}

/// Formats a power without its sign, for use with a word for the direction.
pub(in crate::output) fn size(power: Watts) -> String {
    scaled(power.published().abs(), ["W", "kW", "MW"])
}

/// Formats an energy as `350 Wh`, `14.8 kWh` or `4.55 MWh`.
pub(in crate::output) fn energy(energy: WattHours) -> String {
    scaled(energy.published(), ["Wh", "kWh", "MWh"])
}

/// Formats a round value of an axis, without zeros after the point: `2 kW`.
pub(in crate::output) fn plain(value: f64, unit: &str) -> String {
    let (scaled, prefix) = match value.abs() {
        size if size < 1e3 => (value, ""),
        size if size < 1e6 => (value / 1e3, "k"),
        _ => (value / 1e6, "M"),
    };
    format!("{} {prefix}{unit}", (scaled * 100.0).round() / 100.0 + 0.0)
}

/// Formats a value with the first unit for which three digits suffice.
fn scaled(value: f64, [unit, thousands, millions]: [&str; 3]) -> String {
    let size = value.abs();
    if size < 999.5 {
        // Fractions of a watt are noise.
        format!("{} {unit}", value.round() + 0.0)
    } else if size < 999_500.0 {
        format!("{} {thousands}", three_digits(value / 1e3))
    } else {
        format!("{} {millions}", three_digits(value / 1e6))
    }
}

fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// Formats an age as `now`, `3 min`, `9 h` or `4 d`.
pub(in crate::output) fn age(age: SignedDuration) -> String {
    match age.as_mins() {
        ..1 => "now".to_owned(),
        minutes @ 1..60 => format!("{minutes} min"),
        minutes @ 60..2880 => format!("{} h", minutes / 60),
        minutes => format!("{} d", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_unit_makes_it_short() {
        let shown = |value| power(Watts::new(value).unwrap());
        let values = [0.0, -0.4, 350.4, 999.4, 999.6, 3781.2, 9996.0, 14_848.0, -2580.0, 1_250_000.0];
        let all: Vec<String> = values.map(shown).into();
        assert_eq!(
            all,
            [
                "0 W", "0 W", "350 W", "999 W", "1.00 kW", "3.78 kW", "10.0 kW", "14.8 kW", "-2.58 kW",
                "1.25 MW"
            ]
        );
    }

    #[test]
    fn a_text_agrees_with_the_number_in_the_document() {
        let watts = Watts::new(363.4996).unwrap();
        assert_eq!((watts.published().to_string(), power(watts)), ("363.5".to_owned(), "364 W".to_owned()));
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let ages = [20, 180, 9 * 3600, 4 * 86_400].map(|seconds| age(SignedDuration::from_secs(seconds)));
        assert_eq!(ages, ["now", "3 min", "9 h", "4 d"]);
    }

    proptest! {
        #[test]
        fn an_amount_is_short_and_right_to_half_a_percent(value in -9e8..9e8_f64) {
            let shown = energy(WattHours::new(value).unwrap());
            prop_assert!(shown.len() <= 9, "{shown}");
            let (number, unit) = shown.split_once(' ').unwrap();
            let scale = match unit { "Wh" => 1.0, "kWh" => 1e3, _ => 1e6 };
            let back: f64 = number.parse::<f64>().unwrap() * scale;
            prop_assert!((back - value).abs() <= (value.abs() * 0.005).max(0.5), "{shown} for {value}");
        }
    }
}
