//! What a gateway's answer to `/info` means to the poller: facts for the pages, and the time.

use crate::io::gateway::Connected;
use crate::rules::logins::age::Heard;
use crate::rules::sources::Facts;

/// What the gateway told of the time when it was asked last.
pub fn heard(gateway: &Connected) -> Heard {
    gateway.info().time.map_or(Heard::NoTime, Heard::Time)
}

/// What its clock shows now, if it has gone on since.
pub fn heard_by_now(gateway: &Connected) -> Heard {
    let time = gateway.info().time.and_then(|time| time.checked_add(gateway.asked().elapsed()).ok());
    time.map_or(Heard::NoTime, Heard::Time)
}

/// What decides which pages the gateway has.
pub fn facts(gateway: &Connected) -> Facts {
    let info = gateway.info();
    Facts {
        serial: info.serial.clone(),
        firmware: (info.firmware.major, info.firmware.minor, info.firmware.build),
        firmware_name: info.firmware.to_string(),
        part_number: info.part_number.clone(),
        by_token: info.needs_token(),
        metered_model: info.metered_model,
        time: info.time,
    }
}
