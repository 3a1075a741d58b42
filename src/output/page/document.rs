//! The whole page, and the short one for a browser that may not read.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::flow::capital;
use super::house::{House, words};
use super::problems::code;
use super::times::moment;
use super::{batteries, inverters, now, phases, problems, today, token};

/// The icon of the window: a sun.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23e0930b' \
    stroke-width='2' stroke-linecap='round'%3E%3Ccircle cx='12' cy='12' r='5' fill='%23f5b82e'/%3E%3Cpath d='M12 1v3M12 20v3M1 12h3\
    M20 12h3M4.2 4.2l2.1 2.1M17.7 17.7l2.1 2.1M4.2 19.8l2.1-2.1M17.7 6.3l2.1-2.1'/%3E%3C/svg%3E";

/// The style of the page for a browser that may not read, which may not load the style sheet either.
pub const REFUSED_STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}\
    pre{padding:.75rem 1rem;border:1px solid;border-radius:.5rem;overflow-x:auto}";

/// What identifies the style sheet and the script: they are loaded again when it changes.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Tags<'a> {
    pub style: &'a str,
    pub script: &'a str,
}

/// Renders the sections that change with each reading.
pub fn sections(house: &House) -> Markup {
    html! { (first(house)) (last(house)) }
}

/// Renders the sections before the history.
fn first(house: &House) -> Markup {
    html! {
        (problems::section(house))
        (now::now(house))
        (today::today(house))
    }
}

/// Renders the sections after the history.
fn last(house: &House) -> Markup {
    html! {
        (inverters::inverters(house))
        (batteries::batteries(house))
        (phases::phases(house))
        (token::token(house))
    }
}

/// Renders the page. All addresses are relative, because Home Assistant shows it below a path of its own.
pub fn document(house: &House, tags: &Tags<'_>, history: &Markup, readers: &Markup) -> Markup {
    let offset = house.zone.to_offset(house.now).seconds();
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(tags.style, "enphased", Some(tags.script)))
            body data-now=(house.now) data-offset=(offset) data-script=(tags.script) {
                a.skip href="#now" { "Skip to the values" }
                header {
                    h1 { "enphased" }
                    p #connection role="status" data-state="still" { "As of " (moment(house.now, house.now, &house.zone)) }
                }
                main {
                    (first(house))
                    (history)
                    (last(house))
                    (readers)
                }
                footer {
                    p {
                        "enphased " (env!("CARGO_PKG_VERSION")) " · "
                        a href="api/v1/status" { "Status" } " · "
                        a href="api/v1/gateways" { "Gateways" } " · "
                        a href="metrics" { "Metrics" } " · "
                        a href="openapi.json" { "For programs" }
                    }
                }
            }
        }
    }
}

fn head(style: &str, title: &str, script: Option<&str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="icon" href=(ICON);
            link rel="stylesheet" href=(format!("page.css?v={style}"));
            @if let Some(script) = script { script src=(format!("page.js?v={script}")) defer {} }
        }
    }
}

/// Renders the page for a browser whose request is refused.
pub fn refused(title: &str, detail: &str, is_unknown: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "enphased" }
                link rel="icon" href=(ICON);
                style { (PreEscaped(REFUSED_STYLE)) }
            }
            body {
                main {
                    h1 { "enphased" }
                    h2 { (title) }
                    @let detail = capital(&words(detail));
                    p { @for (part, is_code) in code(&detail) { @if is_code { code { (part) } } @else { (part) } } "." }
                    @if is_unknown {
                        p { "On the machine where enphased runs, create a token for this browser:" }
                        pre { "sudo enphased consumer add NAME" }
                        p { "Then open this address once, with the token that the command prints:" }
                        pre { "/?token=TOKEN" }
                        p { "Or add your network to " code { "open_to" } " below " code { "[server]" } " in the configuration." }
                    }
                }
            }
        }
    }
}
