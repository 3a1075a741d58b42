//! The time in a gateway's response to `/info`.

use crate::io::gateway::Connected;
use crate::rules::logins::clocks::GatewayTime;

/// Returns the time in the last response to `/info`.
pub fn gateway_time(gateway: &Connected) -> GatewayTime {
    gateway.info().time.map_or(GatewayTime::NoTime, GatewayTime::Time)
}

/// Returns the current time of the gateway's clock, estimated from the last response to `/info`.
pub fn gateway_time_now(gateway: &Connected) -> GatewayTime {
    let time = gateway.info().time.and_then(|time| time.checked_add(gateway.identified_at().elapsed()).ok());
    time.map_or(GatewayTime::NoTime, GatewayTime::Time)
}
