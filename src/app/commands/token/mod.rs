//! The commands `enphased token status`, `refresh`, `import` and `forget`.

mod choose_gateway;
pub mod import;
pub mod refresh;
mod second_factor;
pub mod status;
mod verify;

use std::io::Write;

use super::failure::Failure;
use super::opened_gateways::OpenedGateways;
use super::{Context, LOGIN_LOCK_TIMEOUT};
use crate::app::poller::gateway_time::gateway_time_now;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::state_dir::StateDir;
use crate::rules::logins::clocks::GatewayTime;
use crate::rules::logins::situation::Operator;
use choose_gateway::choose_gateway;

/// Asks a person for input. Every method returns `None` if there is nobody to ask.
pub trait Prompt {
    /// Asks for a line.
    fn line(&mut self, question: &str) -> Option<String>;
    /// Asks for a line that is not shown.
    fn hidden(&mut self, question: &str) -> Option<Secret>;
    /// Asks for a one-time code, which is not shown; an empty line is an answer.
    fn code(&mut self, question: &str) -> Option<Secret>;
}

/// Returns the time by the gateway's clock.
async fn gateway_time(
    context: &Context,
    serial: &Serial,
    state: &StateDir,
    opened: &mut OpenedGateways,
) -> GatewayTime {
    let gateway = opened.find(serial, context, state).await;
    gateway.map_or(GatewayTime::NoResponse, |gateway| gateway_time_now(gateway))
}

/// Removes the tokens of a gateway.
pub async fn forget(
    context: &mut Context,
    wanted: Option<&Serial>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let shared = context.shared(&state);
    let mut token_provider = shared.token_provider.lock().await;
    let mut opened = OpenedGateways::default();
    let serial = choose_gateway(context, wanted, &state, &mut token_provider, &mut opened).await?;
    token_provider.forget(&serial, LOGIN_LOCK_TIMEOUT).await?;
    let next = token_provider.consider(&serial, GatewayTime::NoTime, Operator::Absent).await?;
    writeln!(out, "The tokens of gateway {serial} were removed. The record of logins is kept.")?;
    writeln!(out, "Next: {next}.")?;
    Ok(())
}
