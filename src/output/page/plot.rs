//! The frame of a chart: its axis, and the coordinates in it.
//!
//! The drawing is stretched to the width of the page; the labels are outside of it and keep their size. So positions along
//! the width are in percent, and heights in pixels.

use maud::{Markup, PreEscaped, html};

use crate::output::text::amounts::plain;

/// The height of the drawing in pixels, and of all with the labels below it.
pub(super) const HEIGHT: f64 = 220.0;
const WHOLE: f64 = HEIGHT + 24.0;
/// The space above the highest line, for its label.
const TOP: f64 = 16.0;

/// The vertical axis: its lowest and highest value and the distance of its lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Creates an axis for these values, which begins at zero unless there are negative ones.
    pub(super) fn new(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) =
            values.fold((0.0, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
        let step = round_step((high - low) / 4.0);
        Self { low: (low / step).floor() * step, high: ((high / step).ceil() * step).max(step), step }
    }

    /// Returns the height of a value in the drawing, from the top.
    pub(super) fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - TOP) * (self.high - value) / (self.high - self.low)
    }

    fn lines(&self) -> impl Iterator<Item = f64> {
        let Self { low, high, step } = *self;
        (0..=12).map(move |n| low + f64::from(n) * step).take_while(move |value| *value <= high + step / 2.0)
    }
}

/// Returns the smallest round number that is at least `least`.
fn round_step(least: f64) -> f64 {
    let least = least.max(1.0);
    let power = 10_f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|round| round * power >= least * 0.999);
    round.unwrap_or(10.0) * power
}

/// A label below the drawing, at a position in percent.
pub(super) type Label = (f64, String);

/// Draws a chart. `drawing` has the coordinates 0 to `width` and 0 to [`HEIGHT`].
pub(super) fn frame(
    title: &str,
    axis: &Axis,
    unit: &str,
    labels: &[Label],
    width: f64,
    drawing: &Markup,
) -> Markup {
    html! {
        svg.plot role="img" aria-label=(title) width="100%" height=(WHOLE) {
            @for value in axis.lines() {
                @let y = format!("{:.1}", axis.y(value));
                line.rule.zero[value == 0.0] x1="0" x2="100%" y1=(y) y2=(y) {}
            }
            svg x="0" y="0" width="100%" height=(HEIGHT) viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" {
                (PreEscaped(&drawing.0))
            }
            @for value in axis.lines().filter(|value| *value != 0.0) {
                text.scale x="0" y=(format!("{:.1}", axis.y(value) - 4.0)) { (plain(value, unit)) }
            }
            @for (x, label) in labels {
                text.label x=(format!("{x:.2}%")) y=(HEIGHT + 18.0) { (label) }
            }
        }
    }
}

/// Formats a position in percent for the script.
pub(super) fn percent(position: f64) -> String {
    format!("{position:.2}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lines_are_at_round_values() {
        let lines = |values: &[f64]| {
            let axis = Axis::new(values.iter().copied());
            axis.lines().map(|value| plain(value, "W")).collect::<Vec<_>>()
        };
        assert_eq!(lines(&[3781.0]), ["0 W", "1 kW", "2 kW", "3 kW", "4 kW"]);
        assert_eq!(lines(&[]), ["0 W", "1 W"]);
        assert_eq!(lines(&[-900.0, 2600.0]), ["-1 kW", "0 W", "1 kW", "2 kW", "3 kW"]);
    }

    proptest! {
        #[test]
        fn every_value_is_inside_and_there_are_few_lines(values in prop::collection::vec(-1e7..1e7_f64, 0..5)) {
            let axis = Axis::new(values.iter().copied());
            for value in values {
                prop_assert!((TOP - 0.01..=HEIGHT + 0.01).contains(&axis.y(value)), "{value} in {axis:?}");
            }
            prop_assert!((2..=9).contains(&axis.lines().count()), "{axis:?}");
        }
    }
}
