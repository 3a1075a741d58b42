//! The energy of today up to the newest reading: what the history has counted, and what the counter has grown since.

use jiff::Timestamp;

use super::totals::GAP;
use crate::base::units::WattHours;
use crate::io::history::rows::CountedOn;

/// Returns the energy of a counter since `midnight`, if its total is `total` now. `None` if it is not known since then.
pub fn so_far(on: &CountedOn, total: Option<WattHours>, midnight: Timestamp) -> Option<WattHours> {
    // As when the history is written: a short gap around midnight belongs to the new day.
    let is_known = on.energy.is_some() || on.counted.at.duration_since(midnight) >= -GAP;
    let counted = on.energy.unwrap_or(WattHours::ZERO);
    let step = total.map_or(0.0, |total| total.value() - on.counted.total.value());
    // A counter that began again has not grown.
    is_known.then(|| WattHours::new(counted.value() + step.max(0.0))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::reading::Counter;
    use crate::io::history::rows::{Counted, Series};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn energy(wh: f64) -> Option<WattHours> {
        WattHours::new(wh)
    }

    fn shown(counted_at: &str, today: Option<f64>, total: Option<f64>) -> Option<i64> {
        let counted = Counted {
            series: Series::site(Counter::Production),
            total: energy(5000.0).unwrap(),
            at: at(counted_at),
        };
        let on = CountedOn { counted, energy: today.and_then(energy) };
        so_far(&on, total.and_then(energy), at("2026-06-28T00:00:00Z")).map(WattHours::whole)
    }

    #[test]
    fn what_was_read_after_the_last_write_is_added() {
        assert_eq!(shown("2026-06-28T12:00:00Z", Some(700.0), Some(5030.0)), Some(730));
        assert_eq!(shown("2026-06-28T12:00:00Z", Some(700.0), Some(5000.0)), Some(700));
        assert_eq!(shown("2026-06-28T12:00:00Z", Some(700.0), None), Some(700));
        assert_eq!(shown("2026-06-28T12:00:00Z", Some(700.0), Some(40.0)), Some(700), "it began again");
    }

    #[test]
    fn before_the_first_write_of_a_day_it_is_known_only_if_it_was_counted_shortly_before() {
        assert_eq!(shown("2026-06-27T23:55:00Z", None, Some(5003.0)), Some(3));
        assert_eq!(shown("2026-06-27T20:00:00Z", None, Some(5003.0)), None);
    }
}
