//! What a gateway's answer to `/info` says of the time.

use crate::io::gateway::Connected;
use crate::rules::logins::age::Heard;

/// What the gateway told of the time when it was asked last.
pub fn heard(gateway: &Connected) -> Heard {
    gateway.info().time.map_or(Heard::NoTime, Heard::Time)
}

/// What its clock shows now, if it has gone on since.
pub fn heard_by_now(gateway: &Connected) -> Heard {
    let time = gateway.info().time.and_then(|time| time.checked_add(gateway.asked().elapsed()).ok());
    time.map_or(Heard::NoTime, Heard::Time)
}
