//! `enphased token status | refresh | import | forget`.

pub mod import;
pub mod refresh;
pub mod status;
mod verify;

use std::io::Write;

use jiff::Timestamp;

use super::failure::Failure;
use super::{Context, PATIENCE, gateway, serial};
use crate::logins::decision::Operator;
use crate::reading::Serial;
use crate::secrets::Secret;
use crate::state::StateDir;

/// Who answers questions: the terminal, or nobody.
pub trait Ask {
    /// Asks for a line.
    fn line(&mut self, question: &str) -> Option<String>;
    /// Asks for a line that is not shown.
    fn hidden(&mut self, question: &str) -> Option<Secret>;
}

/// The gateway's clock, if it answers.
async fn gateway_time(context: &Context, serial: &Serial, state: &StateDir) -> Option<Timestamp> {
    for settings in &context.config.gateways {
        if let Ok(identity) = gateway::ask(context, settings, state).await
            && identity.serial == *serial
        {
            return Some(identity.time(context.clock.now()));
        }
    }
    None
}

/// Forgets the tokens of a gateway.
pub async fn forget(context: &mut Context, asked: Option<&str>, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    let serial = serial(context, asked, &state).await?;
    let shared = context.shared(&state);
    let mut supply = shared.supply.lock().await;
    supply.forget(&serial, PATIENCE).await?;
    let next = supply.consider(&serial, Some(context.clock.now()), Operator::Absent)?;
    writeln!(out, "The tokens of gateway {serial} are forgotten. The record of logins stays.")?;
    writeln!(out, "Next: {next}.")?;
    Ok(())
}
