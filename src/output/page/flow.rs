//! The flow picture: sun, house, grid and battery, with the power that flows between them now.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::icons;
use crate::base::reading::Reading;
use crate::base::units::{Percent, Watts};
use crate::output::text::amounts::{age, power, size};
use crate::output::text::{OLD, battery_word, grid_word, newest_stamp};

/// The width of the picture.
const WIDTH: f64 = 440.0;
/// The middle of the picture.
const MIDDLE: f64 = WIDTH / 2.0;
/// The radius of a circle, and that of the house.
const RADIUS: f64 = 50.0;
const HOUSE_RADIUS: f64 = 56.0;
/// The radius of the dot where lines meet if the house is not measured.
const DOT_RADIUS: f64 = 7.0;
/// The space from the middle of the lowest circle to the end of the picture, with a line of text below it, and the height of
/// another line.
const BELOW: f64 = 84.0;
const LINE: f64 = 18.0;
/// The power below which nothing flows: fractions of a watt are noise.
const IDLE_W: f64 = 0.5;

/// The power of each part of a house; what is not measured is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flows {
    pub(super) production: Option<Watts>,
    pub(super) consumption: Option<Watts>,
    pub(super) grid: Option<Watts>,
    pub(super) storage: Option<Watts>,
    pub(super) soc: Option<Percent>,
    /// The ages of old values: production, consumption, grid, storage.
    old: [Option<String>; 4],
}

impl Flows {
    /// Returns the flows of one gateway.
    pub(super) fn of(reading: &Reading) -> Self {
        let newest = newest_stamp(reading);
        let (production, consumption) = (reading.production.as_ref(), reading.consumption.as_ref());
        let (grid, storage) = (reading.grid.as_ref(), reading.storage.as_ref());
        let stamps = [
            production.and_then(|group| group.measured_at),
            consumption.and_then(|group| group.measured_at),
            grid.and_then(|group| group.measured_at),
            storage.and_then(|group| group.measured_at),
        ];
        Self {
            production: production.and_then(|group| group.power_w),
            consumption: consumption.and_then(|group| group.power_w),
            grid: grid.and_then(|group| group.power_w),
            storage: storage.and_then(|group| group.power_w),
            soc: storage.and_then(|group| group.soc_percent),
            old: stamps.map(|stamp| old(newest, stamp)),
        }
    }

    /// Returns the sum of several gateways. A part is absent unless every gateway that belongs to the sum measures it: the
    /// house and the grid are those of all.
    pub(super) fn sum(all: &[&Reading]) -> Self {
        let each: Vec<Self> = all.iter().map(|reading| Self::of(reading)).collect();
        let total = |part: fn(&Self) -> Option<Watts>| Watts::total(each.iter().map(part));
        // A gateway without panels or without batteries adds none.
        let some = |has: fn(&Reading) -> bool, part: fn(&Self) -> Option<Watts>| {
            let parts = all.iter().zip(&each).filter(|(reading, _)| has(reading));
            Watts::total(parts.map(|(_, flows)| part(flows)))
        };
        Self {
            production: some(|reading| reading.production.is_some(), |flows| flows.production),
            consumption: total(|flows| flows.consumption),
            grid: total(|flows| flows.grid),
            storage: some(|reading| reading.storage.is_some(), |flows| flows.storage),
            soc: None,
            old: Default::default(),
        }
    }

    /// Returns whether there is nothing to show.
    pub(super) fn is_empty(&self) -> bool {
        let Self { production, consumption, grid, storage, soc, .. } = self;
        [production, consumption, grid, storage].into_iter().all(Option::is_none) && soc.is_none()
    }

    /// Says in some words what matters most: what is bought or sold.
    pub(super) fn headline(&self) -> String {
        let parts = [
            self.grid.map(|watts| (grid_word(watts), watts)),
            self.storage.map(|watts| (battery_word(watts), watts)),
        ];
        if let Some((word, watts)) = parts.into_iter().flatten().find(|(word, _)| *word != "idle") {
            return format!("{} {}", capital(word), size(watts));
        }
        match (self.production, self.consumption) {
            (Some(watts), _) if watts.value() >= IDLE_W => format!("Producing {}", power(watts)),
            (_, Some(watts)) => format!("Using {}", power(watts)),
            (Some(_), None) => "No sun".to_owned(),
            (None, None) => "Idle".to_owned(),
        }
    }
}

fn old(newest: Option<Timestamp>, measured_at: Option<Timestamp>) -> Option<String> {
    let old: SignedDuration = newest?.duration_since(measured_at?);
    (old >= OLD).then(|| format!("{} old", age(old)))
}

/// Returns a text with a capital letter at its beginning.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// A circle of the picture.
struct Node {
    class: &'static str,
    name: String,
    /// The power, without its sign where a word says the direction.
    value: String,
    word: &'static str,
    old: Option<String>,
    /// The power towards the house.
    inward: f64,
    soc: Option<Percent>,
    at: (f64, f64),
}

/// Returns the circles around the house, without their places.
fn nodes(flows: &Flows) -> Vec<Node> {
    let [production_old, _, grid_old, storage_old] = flows.old.clone();
    let node = |class, name: &str, value, word, old, inward| Node {
        class,
        name: name.to_owned(),
        value,
        word,
        old,
        inward,
        soc: None,
        at: (0.0, 0.0),
    };
    let sun = flows.production.map(|watts| {
        let word = if watts.value() >= IDLE_W { "producing" } else { "no sun" };
        node("sun", "Sun", power(watts), word, production_old, watts.value())
    });
    let grid =
        flows.grid.map(|watts| node("grid", "Grid", size(watts), grid_word(watts), grid_old, watts.value()));
    let is_battery = flows.storage.is_some() || flows.soc.is_some();
    let battery = is_battery.then(|| {
        let charge = flows.soc.map(|percent| format!("{:.0} %", percent.value()));
        let (value, word, inward) = flows
            .storage
            .map_or((String::new(), "", 0.0), |watts| (size(watts), battery_word(watts), watts.value()));
        let name = charge.map_or("Battery".to_owned(), |charge| format!("Battery {charge}"));
        Node { soc: flows.soc, ..node("battery", &name, value, word, storage_old, inward) }
    });
    [sun, battery, grid].into_iter().flatten().collect()
}

/// Sets the places of the circles; returns that of the house and the height of the picture.
fn place(nodes: &mut [Node], has_house: bool) -> ((f64, f64), f64) {
    let row = 86.0;
    match nodes {
        [sun, left, right] => {
            let y = 258.0;
            (sun.at, left.at, right.at) = ((MIDDLE, row), (70.0, y), (WIDTH - 70.0, y));
            ((MIDDLE, y), y + BELOW)
        }
        [left, right] => {
            (left.at, right.at) = ((70.0, row), (WIDTH - 70.0, row));
            ((MIDDLE, row), row + BELOW)
        }
        [one] if has_house => {
            one.at = (MIDDLE - 100.0, row);
            ((MIDDLE + 100.0, row), row + BELOW)
        }
        _ => {
            if let Some(one) = nodes.first_mut() {
                one.at = (MIDDLE, row);
            }
            ((MIDDLE, row), row + BELOW)
        }
    }
}

/// Draws the picture. `words` describe it for readers who cannot see it.
pub(super) fn picture(flows: &Flows, words: &str) -> Markup {
    let mut nodes = nodes(flows);
    let (centre, height) = place(&mut nodes, flows.consumption.is_some());
    let height = height + if flows.old.iter().any(Option::is_some) { LINE } else { 0.0 };
    let most = nodes.iter().map(|node| node.inward.abs()).fold(0.0, f64::max);
    let centre_radius = if flows.consumption.is_some() { HOUSE_RADIUS } else { DOT_RADIUS };
    let has_centre = flows.consumption.is_some() || nodes.len() > 1;
    html! {
        svg.flow role="img" aria-label=(words) viewBox=(format!("0 0 {WIDTH} {height}")) {
            @if has_centre {
                @for node in &nodes { (wire(node, centre, centre_radius, most)) }
            }
            @for node in &nodes { (circle(node)) }
            @if let Some(watts) = flows.consumption {
                (house(watts, centre, flows.old.get(1).and_then(Option::as_deref)))
            } @else if has_centre {
                circle.dot cx=(centre.0) cy=(centre.1) r=(DOT_RADIUS) {}
            }
        }
    }
}

/// Draws a line to the house, as thick as the power on it, with an arrow that shows the direction.
fn wire(node: &Node, centre: (f64, f64), centre_radius: f64, most: f64) -> Markup {
    let (dx, dy) = (centre.0 - node.at.0, centre.1 - node.at.1);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let begin = (node.at.0 + ux * (RADIUS + 5.0), node.at.1 + uy * (RADIUS + 5.0));
    let end = (centre.0 - ux * (centre_radius + 5.0), centre.1 - uy * (centre_radius + 5.0));
    let line =
        |from: (f64, f64), to: (f64, f64)| format!("M{:.0} {:.0}L{:.0} {:.0}", from.0, from.1, to.0, to.1);
    let share = if most > 0.0 { node.inward.abs() / most } else { 0.0 };
    let is_inward = node.inward > 0.0;
    let (from, to) = if is_inward { (begin, end) } else { (end, begin) };
    // The dots leave room for the arrow in the middle, which shows the power where the line is short.
    let scale = 0.6 + 0.5 * share;
    let (back, ahead) = (7.0 * scale + 4.0, 9.0 * scale + 4.0);
    let (mx, my) = (f64::midpoint(begin.0, end.0), f64::midpoint(begin.1, end.1));
    let (fx, fy) = if is_inward { (ux, uy) } else { (-ux, -uy) };
    let path = line(from, (mx - back * fx, my - back * fy)) + &line((mx + ahead * fx, my + ahead * fy), to);
    let class = format!("live {}{}", node.class, if is_inward { "" } else { " out" });
    html! {
        path.wire d=(line(begin, end)) {}
        @if node.inward.abs() >= IDLE_W {
            path class=(class) d=(path) stroke-width=(format!("{:.1}", 2.5 + 5.0 * share)) {}
            (arrow((mx, my), (fx, fy), scale, &class))
        }
    }
}

/// Draws an arrow at `(x, y)` in the direction of the unit vector `(ux, uy)`.
fn arrow((x, y): (f64, f64), (ux, uy): (f64, f64), scale: f64, class: &str) -> Markup {
    let (ux, uy) = (ux * scale, uy * scale);
    let tip = (x + 9.0 * ux, y + 9.0 * uy);
    let back = (x - 7.0 * ux, y - 7.0 * uy);
    let path = format!(
        "M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z",
        tip.0,
        tip.1,
        back.0 - 9.0 * uy,
        back.1 + 9.0 * ux,
        back.0 + 9.0 * uy,
        back.1 - 9.0 * ux
    );
    html! { path class=(format!("arrow {class}")) d=(path) {} }
}

fn circle(node: &Node) -> Markup {
    let (x, y) = node.at;
    let is_idle = node.inward.abs() < IDLE_W;
    let state = if is_idle {
        " idle"
    } else if node.inward < 0.0 {
        " out"
    } else {
        ""
    };
    let class = format!("node {}{state}", node.class);
    // The name is above the sun, and below the others.
    let name_y = if node.class == "sun" { y - RADIUS - 12.0 } else { y + RADIUS + 20.0 };
    let name = match &node.old {
        Some(old) if node.class == "sun" => format!("{} · {old}", node.name),
        _ => node.name.clone(),
    };
    html! {
        g class=(class) {
            circle.ring[node.soc.is_some()] cx=(x) cy=(y) r=(RADIUS) {}
            @if let Some(percent) = node.soc {
                // The ring begins at the top.
                circle.charge cx=(x) cy=(y) r=(RADIUS) pathLength="100" stroke-dasharray=(format!("{:.0} 100", percent.value()))
                    transform=(format!("rotate(-90 {x} {y})")) {}
            }
            (icons::icon(node.class, x, y - 22.0))
            text.value x=(x) y=(y + 12.0) { (node.value) }
            text.word x=(x) y=(y + 29.0) { (node.word) }
            text.name.old[node.class == "sun" && node.old.is_some()] x=(x) y=(name_y) { (name) }
            @if let Some(old) = node.old.as_ref().filter(|_| node.class != "sun") {
                text.old x=(x) y=(name_y + LINE) { (old) }
            }
        }
    }
}

fn house(watts: Watts, (x, y): (f64, f64), old: Option<&str>) -> Markup {
    html! {
        g.node.house {
            circle cx=(x) cy=(y) r=(HOUSE_RADIUS) {}
            (icons::icon("house", x, y - 25.0))
            text.value x=(x) y=(y + 13.0) { (power(watts)) }
            text.word x=(x) y=(y + 31.0) { "using" }
            text.name x=(x) y=(y + HOUSE_RADIUS + 20.0) { "House" }
            @if let Some(old) = old { text.old x=(x) y=(y + HOUSE_RADIUS + 20.0 + LINE) { (old) } }
        }
    }
}
