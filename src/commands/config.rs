//! `enphased config example` and `enphased config validate`.

use std::io::Write;

use super::failure::Failure;
use crate::config::{Config, EXAMPLE};

/// Shows every key with what it means.
pub fn example(out: &mut dyn Write) -> Result<(), Failure> {
    out.write_all(EXAMPLE.as_bytes())?;
    Ok(())
}

/// Says that the configuration holds, and what is not wise in it. One that does not hold never comes here.
pub fn validate(config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    match &config.path {
        Some(path) => writeln!(out, "{}: good", path.display())?,
        None => writeln!(out, "there is no configuration file; every key has its default")?,
    }
    for warning in &config.warnings {
        writeln!(out, "note: {warning}")?;
    }
    Ok(())
}
