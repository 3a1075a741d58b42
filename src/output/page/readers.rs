//! Who else is reading.

use jiff::Timestamp;
use maud::{Markup, html};

use super::house::Reader;
use super::times::live_age;
use crate::base::printable::one_line;

/// The maximum number of characters of a name that a program gives itself.
const LONGEST: usize = 80;

/// The number of readers that are shown: those that asked last.
const SHOWN: usize = 12;

/// Returns the name for people. A browser's own is long and the same in most of them: its system says more.
fn name(reader: &Reader) -> String {
    const SYSTEMS: [&str; 6] = ["Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"];
    if reader.name == reader.program && reader.name.starts_with("Mozilla/") {
        let system = SYSTEMS.into_iter().find(|system| reader.name.contains(system));
        return system.map_or("Browser".to_owned(), |system| format!("Browser on {system}"));
    }
    one_line(&reader.name, LONGEST).into_owned()
}

/// Renders the section.
pub fn readers(readers: &[Reader], now: Timestamp) -> Markup {
    html! {
        section #readers.card aria-labelledby="readers-title" {
            h2 #readers-title { "Who is reading" }
            @if readers.is_empty() {
                p.quiet { "Nobody has asked yet." }
            } @else {
                ul.rows {
                    @for reader in readers.iter().take(SHOWN) {
                        li {
                            div {
                                b { (name(reader)) }
                                @if reader.is_you { " " span.badge { "this page" } }
                                @if reader.is_live { " " span.badge.on { "live" } }
                            }
                            div.quiet {
                                (reader.address) " · "
                                @if reader.is_active { (live_age(reader.last_seen, now)) }
                                @else { "last seen " (live_age(reader.last_seen, now)) }
                                @if !reader.program.is_empty() && reader.program != name(reader) {
                                    " · " (one_line(&reader.program, LONGEST))
                                }
                            }
                        }
                    }
                }
                @if readers.len() > SHOWN { p.quiet { "And " (readers.len() - SHOWN) " more." } }
            }
        }
    }
}
