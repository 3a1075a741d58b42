//! The lines of a check: `good`, `note`, or `WRONG` with what to do.

use std::io::Write;

use super::super::failure::{Code, Failure};
use crate::base::printable::one_line;

/// The maximum number of characters in a line.
const LONGEST: usize = 1000;

/// The verdict of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Note,
    Wrong,
}

/// Writes the lines, and remembers the exit code of the first that is wrong.
pub(in crate::app::commands) struct Report<'a> {
    out: &'a mut dyn Write,
    /// The width of the column with the names of the checked things.
    width: usize,
    pub(in crate::app::commands) wrong: Option<Code>,
}

impl<'a> Report<'a> {
    pub(in crate::app::commands) fn new(out: &'a mut dyn Write, width: usize) -> Self {
        Self { out, width, wrong: None }
    }

    fn line(&mut self, verdict: Verdict, what: &str, words: &str) -> Result<(), Failure> {
        let word = match verdict {
            Verdict::Good => "good ",
            Verdict::Note => "note ",
            Verdict::Wrong => "WRONG",
        };
        let width = self.width;
        writeln!(self.out, "{word}  {what:<width$}  {}", one_line(words, LONGEST))?;
        Ok(())
    }

    pub(in crate::app::commands) fn good(&mut self, what: &str, words: &str) -> Result<(), Failure> {
        self.line(Verdict::Good, what, words)
    }

    pub(in crate::app::commands) fn note(&mut self, what: &str, words: &str) -> Result<(), Failure> {
        self.line(Verdict::Note, what, words)
    }

    pub(in crate::app::commands) fn wrong(&mut self, what: &str, failure: &Failure) -> Result<(), Failure> {
        self.wrong.get_or_insert(failure.code);
        self.line(Verdict::Wrong, what, &failure.message)?;
        for detail in failure.lines().skip(1) {
            writeln!(self.out, "{:indent$}{detail}", "", indent = self.width + 9)?;
        }
        Ok(())
    }
}
