//! The gateway that a token command applies to.

use super::super::Context;
use super::super::failure::{Code, Failure};
use super::super::opened_gateways::OpenedGateways;
use crate::app::token_provider::TokenProvider;
use crate::base::reading::Serial;
use crate::io::gateway::pinned_key;
use crate::io::state_dir::StateDir;
use crate::io::token::store;
use crate::rules::logins::Record;
use crate::rules::logins::clocks::GatewayTime;

/// Returns the gateway that a token command applies to: the one that was named, or the configured one, or the one that
/// responds, or the one with a stored token. An unknown serial number is refused, because a typing error would cost a
/// login and hold off the right gateway.
pub(super) async fn choose_gateway(
    context: &Context,
    wanted: Option<&Serial>,
    state: &StateDir,
    token_provider: &mut TokenProvider,
    opened: &mut OpenedGateways,
) -> Result<Serial, Failure> {
    // Reading the record first also reports a state directory that cannot be read.
    let clocks = token_provider.clocks(GatewayTime::NoResponse);
    let any = Serial::parse("0").map_err(|error| Failure::new(Code::Data, error.to_string()))?;
    let record = token_provider.record(&any, &clocks).await?;
    if let Some(wanted) = wanted {
        let known = known(context, state, &record).await?;
        let is_known = known.contains(wanted) || opened.serials(context, state).await.contains(wanted);
        return if is_known { Ok(wanted.clone()) } else { Err(unknown(wanted, &known)) };
    }
    let configured: Vec<Option<Serial>> =
        context.config.gateways.iter().map(|one| one.serial.clone()).collect();
    if let [Some(serial)] = configured.as_slice() {
        return Ok(serial.clone());
    }
    if let ([_], [serial]) = (configured.as_slice(), opened.serials(context, state).await.as_slice()) {
        return Ok(serial.clone());
    }
    match store::serials(state).await?.as_slice() {
        [serial] => Ok(serial.clone()),
        [] => Err(Failure::new(
            Code::TryLater,
            "the gateway does not respond, so its serial number is not known; write it into the configuration as \
             serial = \"...\" below [[gateway]] (it is printed on the gateway and shown in the Enphase app)",
        )),
        several => Err(Failure::new(
            Code::Usage,
            format!("there are several gateways ({}); name one with --gateway SERIAL", list(several)),
        )),
    }
}

/// Returns the gateways that are configured, have responded before, or have a token or a login attempt.
async fn known(context: &Context, state: &StateDir, record: &Record) -> Result<Vec<Serial>, Failure> {
    let configured = context.config.gateways.iter().filter_map(|gateway| gateway.serial.clone());
    let seen = pinned_key::last_seen(state).await?.into_iter().map(|(serial, _)| serial);
    let tried = record.attempts.iter().filter(|attempt| !attempt.stands_in);
    let tried = tried.map(|attempt| attempt.serial.clone());
    let stored = store::serials(state).await?;
    let mut known: Vec<Serial> = configured.chain(seen).chain(stored).chain(tried).collect();
    known.sort();
    known.dedup();
    Ok(known)
}

fn unknown(wanted: &Serial, known: &[Serial]) -> Failure {
    let others = match known {
        [] => String::new(),
        known => format!(" Known: {}.", list(known)),
    };
    Failure::new(
        Code::Usage,
        format!(
            "gateway {wanted} is not known: it is not configured, has not responded before, and does not respond now.{others} \
             If the number is right, write serial = \"{wanted}\" below [[gateway]] in the configuration"
        ),
    )
}

fn list(serials: &[Serial]) -> String {
    serials.iter().map(Serial::as_str).collect::<Vec<_>>().join(", ")
}
