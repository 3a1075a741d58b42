//! Prompts for the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::app::commands::token::Prompt;
use crate::app::config::secret::stripped;
use crate::base::secrets::Secret;

/// The number of columns that every terminal has.
pub(super) const WIDTH: usize = 80;

/// Asks on the terminal, if standard input is one.
pub(super) struct Terminal;

impl Prompt for Terminal {
    fn line(&mut self, question: &str) -> Option<String> {
        let (stdin, mut stderr) = (io::stdin(), io::stderr());
        if !stdin.is_terminal() {
            return None;
        }
        stderr.write_all(question.as_bytes()).ok()?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer).ok()?;
        let answer = stripped(&answer);
        if answer.is_empty() { None } else { Some(answer.to_owned()) }
    }

    fn hidden(&mut self, question: &str) -> Option<Secret> {
        self.code(question).filter(|answer| !answer.is_empty())
    }

    fn code(&mut self, question: &str) -> Option<Secret> {
        if !io::stdin().is_terminal() {
            return None;
        }
        rpassword::prompt_password(question).ok().map(Secret::new)
    }
}
