//! A bar for a percentage.

use maud::{Markup, html};

/// The height of the bar in pixels.
const HEIGHT: u8 = 12;

/// Draws a bar that is filled up to `percent`; `name` says for readers who cannot see it what it shows.
pub(super) fn gauge(percent: f64, name: &str) -> Markup {
    let percent = format!("{percent:.0}%");
    html! {
        svg.gauge role="img" aria-label=(format!("{name}: {percent}")) width="100%" height=(HEIGHT) {
            rect.track width="100%" height=(HEIGHT) rx=(HEIGHT / 2) {}
            rect width=(percent) height=(HEIGHT) rx=(HEIGHT / 2) {}
        }
    }
}
