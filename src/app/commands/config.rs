//! `enphased config example` and `enphased config validate`.

use std::io::Write;

use super::Context;
use super::failure::{Code, Failure};
use crate::app::config::EXAMPLE;
use crate::app::daemon;

/// Shows every configuration key with its meaning.
pub fn example(out: &mut dyn Write) -> Result<(), Failure> {
    out.write_all(EXAMPLE.as_bytes())?;
    Ok(())
}

/// Confirms that the configuration is valid, and shows its warnings. An invalid configuration is reported before this is
/// called. With `reload`, also checks for what a running daemon would refuse at a reload.
pub async fn validate(context: &mut Context, reload: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if reload {
        let state = context.state()?;
        if let Some(reason) = daemon::refusal(&state, &context.config).await {
            return Err(Failure::new(Code::Configuration, reason));
        }
    }
    let config = &context.config;
    if let Some(path) = &config.path {
        writeln!(out, "{}: valid", path.display())?;
    } else {
        let names: Vec<&str> = context.environment.variables.names().collect();
        let set = if names.is_empty() {
            "every key".to_owned()
        } else {
            format!("the environment sets {}; every other key", names.join(", "))
        };
        writeln!(out, "no configuration file was found; {set} has its default")?;
    }
    for warning in &config.warnings {
        writeln!(out, "note: {warning}")?;
    }
    Ok(())
}
