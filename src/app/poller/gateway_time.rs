//! The time in a gateway's response to `/info`.

use std::time::Duration;

use super::trouble::Trouble;
use crate::io::gateway::{self, Connected};
use crate::rules::logins::clocks::GatewayTime;

/// The maximum age of a response to `/info` that counts as current.
pub(super) const JUST_NOW: Duration = Duration::from_secs(2);

/// Returns the time in the last response to `/info`.
pub fn gateway_time(gateway: &Connected) -> GatewayTime {
    gateway.info().time.map_or(GatewayTime::NoTime, GatewayTime::Time)
}

/// Returns the current time of the gateway's clock, estimated from the last response to `/info`.
pub fn gateway_time_now(gateway: &Connected) -> GatewayTime {
    let time = gateway.info().time.and_then(|time| time.checked_add(gateway.identified_at().elapsed()).ok());
    time.map_or(GatewayTime::NoTime, GatewayTime::Time)
}

/// Returns the gateway's time from a current response to `/info`, which is requested if needed. Returns an error if the
/// firmware no longer uses tokens.
pub(super) async fn confirmed_time(gateway: &mut Connected) -> Result<GatewayTime, Trouble> {
    if gateway.identified_at().elapsed() >= JUST_NOW {
        gateway.confirm().await?;
    }
    if gateway.info().needs_token() {
        Ok(gateway_time(gateway))
    } else {
        Err(gateway::Error::TokenUnwanted { address: gateway.address() }.into())
    }
}
