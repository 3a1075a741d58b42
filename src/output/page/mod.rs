//! The page for people: HTML and SVG, made from readings and the history (docs/page.md). Nothing here sends anything.
//!
//! `maud` escapes everything that is not written here. Every section has a stable id; one without content is hidden.

mod bars;
mod batteries;
mod curve;
mod document;
mod flow;
mod gauge;
mod history;
mod house;
mod icons;
mod inverters;
mod names;
mod now;
mod phases;
mod plot;
mod problems;
mod readers;
mod sum;
mod times;
mod today;
mod token;
mod view;

pub use document::{REFUSED_STYLE, Tags, document, refused, sections};
pub use history::{Found, History, Rows, history};
pub use house::{Cloud, House, Reader, Site, Today, Token};
pub use names::names;
pub use readers::readers;
pub use sum::Sum;
pub use view::{NotAView, View};

/// The style sheet.
pub const STYLE: &str = include_str!("page.css");
/// The script, which keeps the page up to date.
pub const SCRIPT: &str = include_str!("page.js");

#[cfg(test)]
mod tests;
