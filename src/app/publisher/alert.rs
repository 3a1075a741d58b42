//! The message for the Domoticz device that shows the state of everything.

use crate::app::latest::{Availability, Gateway};
use crate::output::domoticz::Update;
use crate::output::domoticz::alert::{Situation, alert};
use crate::output::domoticz::idx::Idx;

/// Returns the state of a gateway for the device `alert`, if one is configured and something is known.
pub(super) fn update(known: &Gateway, idx: &Idx) -> Option<Update> {
    let idx = idx.of("alert")?;
    let unavailable = match known.availability.as_ref()?.value.as_ref() {
        Availability::Online => None,
        Availability::Offline(reason) => Some(reason.as_str()),
    };
    let token = known.token.as_ref().map(|token| (token.value.state, token.value.message.as_str()));
    let inverters = known.reading.as_ref().map_or(&[][..], |reading| &reading.value.inverters);
    let (nvalue, svalue) = alert(&Situation { unavailable, token, inverters });
    Some(Update { idx, nvalue, svalue })
}
