//! What a gateway's answer to `/info` says of the time.

use crate::io::gateway::Connected;
use crate::rules::logins::clocks::GatewayTime;

/// What the gateway told of the time when it was asked last.
pub fn gateway_time(gateway: &Connected) -> GatewayTime {
    gateway.info().time.map_or(GatewayTime::NoTime, GatewayTime::Time)
}

/// What its clock shows now, if it has gone on since.
pub fn gateway_time_now(gateway: &Connected) -> GatewayTime {
    let time = gateway.info().time.and_then(|time| time.checked_add(gateway.asked().elapsed()).ok());
    time.map_or(GatewayTime::NoTime, GatewayTime::Time)
}
