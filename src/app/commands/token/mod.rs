//! `enphased token status | refresh | import | forget`.

mod code;
pub mod import;
pub mod refresh;
pub mod status;
mod verify;
mod which;

use std::io::Write;

use super::failure::Failure;
use super::reach::Reached;
use super::{Context, PATIENCE};
use crate::app::poller::identity::heard_by_now;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::state_dir::StateDir;
use crate::rules::logins::age::Heard;
use crate::rules::logins::situation::Operator;
use which::which;

/// Who answers questions: the terminal, or nobody.
pub trait Ask {
    /// Asks for a line.
    fn line(&mut self, question: &str) -> Option<String>;
    /// Asks for a line that is not shown.
    fn hidden(&mut self, question: &str) -> Option<Secret>;
    /// Asks for a one-time code, which is not shown; an empty line is an answer.
    fn code(&mut self, question: &str) -> Option<Secret>;
}

/// What the gateway tells of the time.
async fn heard(context: &Context, serial: &Serial, state: &StateDir, reached: &mut Reached) -> Heard {
    let gateway = reached.find(serial, context, state).await;
    gateway.map_or(Heard::Nothing, |gateway| heard_by_now(gateway))
}

/// Forgets the tokens of a gateway.
pub async fn forget(
    context: &mut Context,
    asked: Option<&Serial>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let shared = context.shared(&state);
    let mut supply = shared.supply.lock().await;
    let serial = which(context, asked, &state, &mut supply, &mut Reached::default()).await?;
    supply.forget(&serial, PATIENCE).await?;
    let next = supply.consider(&serial, Heard::NoTime, Operator::Absent).await?;
    writeln!(out, "The tokens of gateway {serial} are forgotten. The record of logins stays.")?;
    writeln!(out, "Next: {next}.")?;
    Ok(())
}
