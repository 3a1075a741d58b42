//! The lines of a check: good, note, or wrong with what to do.

use std::io::Write;

use super::super::failure::{Code, Failure};
use crate::base::printable::one_line;

/// The most characters of a line.
const LONGEST: usize = 1000;

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Good,
    Note,
    Wrong,
}

/// Writes the lines and remembers the first that is wrong.
pub(in crate::app::commands) struct Report<'a> {
    out: &'a mut dyn Write,
    /// How much room the names of the things take.
    width: usize,
    pub(in crate::app::commands) wrong: Option<Code>,
}

impl<'a> Report<'a> {
    pub(in crate::app::commands) fn new(out: &'a mut dyn Write, width: usize) -> Self {
        Self { out, width, wrong: None }
    }

    fn line(&mut self, mark: Mark, what: &str, words: &str) -> Result<(), Failure> {
        let mark = match mark {
            Mark::Good => "good ",
            Mark::Note => "note ",
            Mark::Wrong => "WRONG",
        };
        let width = self.width;
        writeln!(self.out, "{mark}  {what:<width$}  {}", one_line(words, LONGEST))?;
        Ok(())
    }

    pub(in crate::app::commands) fn good(&mut self, what: &str, words: &str) -> Result<(), Failure> {
        self.line(Mark::Good, what, words)
    }

    pub(in crate::app::commands) fn note(&mut self, what: &str, words: &str) -> Result<(), Failure> {
        self.line(Mark::Note, what, words)
    }

    pub(in crate::app::commands) fn wrong(&mut self, what: &str, failure: &Failure) -> Result<(), Failure> {
        self.wrong.get_or_insert(failure.code);
        self.line(Mark::Wrong, what, &failure.message)?;
        for detail in failure.lines().skip(1) {
            writeln!(self.out, "{:indent$}{detail}", "", indent = self.width + 9)?;
        }
        Ok(())
    }
}
