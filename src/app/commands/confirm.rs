//! The confirmation that a command asks for before it changes something.

use std::io::{BufRead, Write};

use super::failure::Failure;

/// Asks `question`, and returns whether the answer is yes.
pub(super) fn confirm(
    question: &str,
    answers: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<bool, Failure> {
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
