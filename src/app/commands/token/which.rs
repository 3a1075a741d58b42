//! The gateway that a command about tokens is meant for.

use super::super::Context;
use super::super::failure::{Code, Failure};
use super::super::reach::Reached;
use crate::app::token_provider::Supply;
use crate::base::reading::Serial;
use crate::io::gateway::pinned_key;
use crate::io::state_dir::StateDir;
use crate::io::token::store;
use crate::rules::logins::Record;
use crate::rules::logins::age::Heard;

/// The gateway that a command is meant for: the one asked for, or configured, or that answers, or that a token is stored
/// for. One that is asked for and that nobody knows is refused: a typing error would cost a login, and hold off the
/// right one.
pub(super) async fn which(
    context: &Context,
    asked: Option<&Serial>,
    state: &StateDir,
    supply: &mut Supply,
    reached: &mut Reached,
) -> Result<Serial, Failure> {
    // Also the first that is read of the state directory: without the permission there is nothing to find out.
    let sight = supply.sight(Heard::Nothing);
    let nobody = Serial::parse("0").map_err(|error| Failure::new(Code::Data, error.to_string()))?;
    let record = supply.record(&nobody, &sight).await?;
    if let Some(asked) = asked {
        let known = known(context, state, &record).await?;
        let is_known = known.contains(asked) || reached.serials(context, state).await.contains(asked);
        return if is_known { Ok(asked.clone()) } else { Err(unknown(asked, &known)) };
    }
    let configured: Vec<Option<Serial>> =
        context.config.gateways.iter().map(|one| one.serial.clone()).collect();
    if let [Some(serial)] = configured.as_slice() {
        return Ok(serial.clone());
    }
    if let ([_], [serial]) = (configured.as_slice(), reached.serials(context, state).await.as_slice()) {
        return Ok(serial.clone());
    }
    match store::serials(state).await?.as_slice() {
        [serial] => Ok(serial.clone()),
        [] => Err(Failure::new(
            Code::TryLater,
            "the gateway does not answer, so its serial number is not known; write it into the configuration, as \
             serial = \"...\" below [[gateway]] (it is printed on the gateway and shown in the Enphase app)",
        )),
        several => Err(Failure::new(
            Code::Usage,
            format!("there are several gateways ({}); name one with --gateway SERIAL", listed(several)),
        )),
    }
}

/// The gateways that are configured, have answered before, or have had a token or an attempt at one.
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

fn unknown(asked: &Serial, known: &[Serial]) -> Failure {
    let others = match known {
        [] => String::new(),
        known => format!(" Known: {}.", listed(known)),
    };
    Failure::new(
        Code::Usage,
        format!(
            "gateway {asked} is not known: it is not configured, has not been seen before, and does not answer now.{others} \
             If it is the right number, write serial = \"{asked}\" below [[gateway]] in the configuration"
        ),
    )
}

fn listed(serials: &[Serial]) -> String {
    serials.iter().map(Serial::as_str).collect::<Vec<_>>().join(", ")
}
