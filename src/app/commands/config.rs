//! `enphased config example` and `enphased config validate`.

use std::io::Write;

use super::Context;
use super::failure::{Code, Failure};
use crate::app::config::EXAMPLE;
use crate::app::daemon;

/// Shows every key with what it means.
pub fn example(out: &mut dyn Write) -> Result<(), Failure> {
    out.write_all(EXAMPLE.as_bytes())?;
    Ok(())
}

/// Says that the configuration holds, and what is not wise in it. One that does not hold never comes here. With
/// `reload`, what a running daemon would refuse at a reload is refused too.
pub async fn validate(context: &mut Context, reload: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if reload {
        let state = context.state()?;
        if let Some(why) = daemon::refusal(&state, &context.config).await {
            return Err(Failure::new(Code::Configuration, why));
        }
    }
    let config = &context.config;
    match &config.path {
        Some(path) => writeln!(out, "{}: good", path.display())?,
        None => writeln!(out, "there is no configuration file; every key has its default")?,
    }
    for warning in &config.warnings {
        writeln!(out, "note: {warning}")?;
    }
    Ok(())
}
