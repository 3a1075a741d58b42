//! The sunshine and the consumption of a simulated house: pure functions of a seed and the time.
//!
//! There are no seasons: the sun rises at 6:00 and sets at 20:00 every day.

const DAY: i64 = 86_400;
const SUNRISE: i64 = 6 * 3600;
const SUNSET: i64 = 20 * 3600;
/// The seconds between two reports of an inverter over the power line.
const REPORT_PERIOD: i64 = 300;

/// Returns a number from 0 to 1 that depends only on `seed` and `cell`.
pub(super) fn noise(seed: u64, cell: i64) -> f64 {
    let mixed = seed.wrapping_add(cell.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15));
    fastrand::Rng::with_seed(mixed).f64()
}

/// Returns noise that changes continuously over `period` seconds.
#[expect(clippy::cast_precision_loss, reason = "a period is a few hundred seconds")]
fn drift(seed: u64, time: i64, period: i64) -> f64 {
    let cell = time.div_euclid(period);
    let share = time.rem_euclid(period) as f64 / period as f64;
    let (before, after) = (noise(seed, cell), noise(seed, cell + 1));
    before + (after - before) * share
}

/// Returns the power of the panels at `time` as a share of their peak, 0 to 1. `time` is in seconds of local solar time.
#[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
pub(super) fn sunshine(seed: u64, time: i64) -> f64 {
    let second = time.rem_euclid(DAY);
    if !(SUNRISE..SUNSET).contains(&second) {
        return 0.0;
    }
    let height = (second - SUNRISE) as f64 / (SUNSET - SUNRISE) as f64;
    let clouds = 0.7 + 0.3 * drift(seed ^ 0xC10D, time, 600);
    // A parabola in place of a sine, so that the program does not need a mathematics library in memory for its demo.
    4.0 * height * (1.0 - height) * clouds
}

/// Returns the power that the house consumes at `time`, in watts: a base load with a peak in the morning and evening.
#[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
pub(super) fn house_load(seed: u64, time: i64) -> f64 {
    let hour = time.rem_euclid(DAY) as f64 / 3600.0;
    let peak = |at: f64, width: f64| 1.0 / (1.0 + ((hour - at) / width).powi(2)).powi(2);
    let habits = 250.0 + 1300.0 * peak(7.5, 0.9) + 2100.0 * peak(19.0, 1.8);
    habits * (0.7 + 0.6 * drift(seed ^ 0x0005_E0F4, time, 240)) + 120.0 * noise(seed ^ 0xF41D, time / 900)
}

/// Returns the relative yield of an inverter, around 1.
pub(super) fn inverter_weight(seed: u64, inverter: usize) -> f64 {
    0.96 + 0.08 * noise(seed ^ 0x1471, i64::try_from(inverter).unwrap_or_default())
}

/// Returns the time of the last report of `inverter` at `time`. Each inverter reports every five minutes with an offset of
/// its own, and not at night.
pub(super) fn last_report(inverter: usize, time: i64) -> i64 {
    let phase = i64::try_from(inverter).unwrap_or_default() * 37 % REPORT_PERIOD;
    let slot = |time: i64| (time - phase).div_euclid(REPORT_PERIOD) * REPORT_PERIOD + phase;
    let midnight = time.div_euclid(DAY) * DAY;
    let first_light = slot(midnight + SUNRISE) + REPORT_PERIOD;
    if time < first_light { slot(midnight - DAY + SUNSET - 1) } else { slot(time.min(midnight + SUNSET - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sun_shines_by_day_only() {
        assert!(sunshine(1, 5 * 3600).abs() < f64::EPSILON);
        assert!(sunshine(1, 13 * 3600) > 0.6);
        assert!(sunshine(1, 20 * 3600).abs() < f64::EPSILON);
        assert!((0..DAY).step_by(60).all(|time| (0.0..=1.0).contains(&sunshine(7, time))));
    }

    #[test]
    fn the_house_always_consumes_power_and_most_in_the_evening() {
        assert!((0..DAY).step_by(60).all(|time| house_load(3, time) > 100.0));
        assert!(house_load(3, 19 * 3600) > 2.0 * house_load(3, 3 * 3600));
    }

    #[test]
    fn an_inverter_reports_every_five_minutes_with_its_own_stamp() {
        let noon = 12 * 3600;
        for inverter in 0..12 {
            assert!((0..REPORT_PERIOD).contains(&(noon - last_report(inverter, noon))));
            assert_eq!(last_report(inverter, noon + 300) - last_report(inverter, noon), 300);
        }
        assert_ne!(last_report(0, noon), last_report(1, noon));
    }

    #[test]
    fn an_inverter_is_silent_at_night() {
        let evening = last_report(4, 22 * 3600);
        assert!(evening < SUNSET);
        assert!(sunshine(1, evening) > 0.0);
        assert_eq!(last_report(4, DAY + 5 * 3600), evening);
        assert!(last_report(4, DAY + 7 * 3600) > DAY);
    }

    #[test]
    fn the_same_seed_gives_the_same_day() {
        assert_eq!(house_load(9, 40_000).to_bits(), house_load(9, 40_000).to_bits());
        assert_ne!(house_load(9, 40_000).to_bits(), house_load(10, 40_000).to_bits());
    }
}
