//! The icons of the flow picture, in boxes of 24 by 24.

use maud::{Markup, html};

const SUN: &str = "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10ZM12 1v3M12 20v3M1 12h3M20 12h3M4.2 4.2l2.1 2.1M17.7 17.7l2.1 2.1\
    M4.2 19.8l2.1-2.1M17.7 6.3l2.1-2.1";
const HOUSE: &str = "M3 11 12 3l9 8M5 9.5V21h14V9.5M10 21v-6h4v6";
const GRID: &str =
    "M9 2h6l3 20M9 2 6 22M8.2 8h7.6M4 8h16M7.4 13h9.2M8.5 8l8 5M15.5 8l-8 5M7.4 13l10 9M16.6 13l-10 9";
const BATTERY: &str = "M7 5h10v16H7ZM10 5V2h4v3M12 9l-2 4h4l-2 4";

/// Draws the icon of a part of the house around a place.
pub(super) fn icon(part: &str, x: f64, y: f64) -> Markup {
    let path = match part {
        "sun" => SUN,
        "house" => HOUSE,
        "grid" => GRID,
        _ => BATTERY,
    };
    html! { path.icon d=(path) transform=(format!("translate({} {})", x - 12.0, y - 12.0)) {} }
}
