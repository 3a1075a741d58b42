//! The lines of a check: good, note, or wrong with what to do.

use std::io::Write;

use super::super::failure::{Code, Failure};

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Good,
    Note,
    Wrong,
}

/// Writes the lines and remembers the first that is wrong.
pub(super) struct Report<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) wrong: Option<Code>,
}

impl Report<'_> {
    fn line(&mut self, mark: Mark, what: &str, words: &str) -> Result<(), Failure> {
        let mark = match mark {
            Mark::Good => "good ",
            Mark::Note => "note ",
            Mark::Wrong => "WRONG",
        };
        let indented = words.replace('\n', "\n                       ");
        writeln!(self.out, "{mark}  {what:<14}  {indented}")?;
        Ok(())
    }

    pub(super) fn good(&mut self, what: &str, words: &str) -> Result<(), Failure> {
        self.line(Mark::Good, what, words)
    }

    pub(super) fn note(&mut self, what: &str, words: &str) -> Result<(), Failure> {
        self.line(Mark::Note, what, words)
    }

    pub(super) fn wrong(&mut self, what: &str, failure: &Failure) -> Result<(), Failure> {
        self.wrong.get_or_insert(failure.code);
        self.line(Mark::Wrong, what, &failure.message)
    }
}
