//! What an alert says about each kind of problem.

use crate::rules::alerts::{Kind, Problem};

/// Returns the title. ASCII, because it is sent in a header.
pub const fn title(kind: Kind, is_end: bool) -> &'static str {
    match (kind, is_end) {
        (Kind::GatewayUnreachable, false) => "No readings from the gateway",
        (Kind::GatewayUnreachable, true) => "The gateway is responding again",
        (Kind::GatewayKey, false) => "The key of the gateway has changed",
        (Kind::GatewayKey, true) => "The key of the gateway is trusted again",
        (Kind::InverterSilent, false) => "Inverter silent",
        (Kind::InverterSilent, true) => "Inverter reporting again",
        (Kind::InverterWeak, false) => "Inverter weak",
        (Kind::InverterWeak, true) => "Inverter as good as the others again",
        (Kind::TokenEnding, false) => "The gateway's token ends soon",
        (Kind::TokenEnding, true) => "The gateway has a token again",
        (Kind::Login, false) => "Login to the Enphase cloud held back",
        (Kind::Login, true) => "No login to the Enphase cloud is held back",
        (Kind::CounterHeld, false) => "Lifetime total held back",
        (Kind::CounterHeld, true) => "Lifetime total published again",
        (Kind::Disk, false) => "The state directory cannot be used",
        (Kind::Disk, true) => "The state directory can be used again",
    }
}

/// Returns what to do about a problem.
pub const fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::GatewayUnreachable => {
            "check that the gateway has power and a network connection, and that its address is still the same: `enphased \
             discover` lists the gateways, `enphased check` checks everything"
        }
        Kind::GatewayKey => {
            "if you replaced, reset or updated the gateway, accept its key with `enphased gateway trust`. If not, find out \
             which device uses its address"
        }
        Kind::InverterSilent => {
            "look at the inverter in Enphase's app or ask your installer: a breaker, a connector or the inverter itself may \
             be faulty"
        }
        Kind::InverterWeak => {
            "look for shade, dirt or snow on its panel. If there is none, ask your installer to look at the panel and the \
             inverter"
        }
        Kind::TokenEnding => {
            "get a new one with `enphased token refresh`, or store one with `enphased token import`"
        }
        Kind::Login => {
            "`enphased token status` says what the cloud returned and when the next login may happen. Do not log in again and \
             again: that locks the account for longer"
        }
        Kind::CounterHeld => {
            "compare it with the total that the gateway shows. If the gateway's is right, `enphased gateway reset-totals` \
             starts again from it"
        }
        Kind::Disk => {
            "make room on the disk, or replace the SD card: a worn one becomes slow or read-only. Readings continue, and \
             logins pause until then"
        }
    }
}

/// Describes a problem that has begun. `what` describes its cause.
pub(super) fn begun(problem: &Problem, what: &str) -> String {
    let (gateway, part) = (gateway(problem), part(problem));
    match problem.kind {
        Kind::GatewayUnreachable => format!("no readings from {gateway}: {what}"),
        Kind::InverterSilent => format!("inverter {part} of {gateway} reported nothing in sunny hours"),
        Kind::InverterWeak => {
            format!("inverter {part} of {gateway} produced less than a third of the others in sunny hours")
        }
        Kind::CounterHeld => {
            format!("the total of {part} of {gateway} is implausible and held back for more than a day")
        }
        Kind::GatewayKey | Kind::Disk => what.to_owned(),
        Kind::TokenEnding | Kind::Login => format!("{gateway}: {what}"),
    }
}

/// Describes a problem that has ended.
pub(super) fn ended(problem: &Problem) -> String {
    let (gateway, part) = (gateway(problem), part(problem));
    match problem.kind {
        Kind::GatewayUnreachable => format!("{gateway} is responding again"),
        Kind::GatewayKey => format!("{gateway} is read again"),
        Kind::InverterSilent => format!("inverter {part} of {gateway} reports again"),
        Kind::InverterWeak => format!("inverter {part} of {gateway} produced as much as the others"),
        Kind::TokenEnding => format!("{gateway} has a token that is renewed in time"),
        Kind::Login => format!("{gateway} needs no login that is held back"),
        Kind::CounterHeld => format!("the total of {part} of {gateway} is published again"),
        Kind::Disk => "everything is saved again".to_owned(),
    }
}

/// Describes a problem of something that does not exist any more.
pub(super) fn gone(problem: &Problem) -> String {
    let gateway = gateway(problem);
    match &problem.part {
        Some(_) => format!("{} of {gateway} does not exist any more", part(problem)),
        None => format!("{gateway} was removed or replaced"),
    }
}

fn gateway(problem: &Problem) -> String {
    problem.gateway.as_ref().map_or_else(|| "this machine".to_owned(), |gateway| format!("gateway {gateway}"))
}

fn part(problem: &Problem) -> &str {
    problem.part.as_deref().unwrap_or_default()
}
