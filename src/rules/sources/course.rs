//! How a cycle goes, and when there is no point in asking on.

use crate::io::gateway::Error;

/// The best that came of a request so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Best {
    #[default]
    Nothing,
    /// A response, whatever it says.
    Response,
    /// A page that was understood.
    Page,
}

/// The course of one cycle.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    best: Best,
    /// A request hung.
    hung: bool,
    ended: bool,
}

impl Course {
    /// Before the first cycle nothing is asked.
    pub(super) const fn over() -> Self {
        Self { best: Best::Nothing, hung: false, ended: true }
    }

    /// Whether there is no point in asking on.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether a page was understood.
    pub(super) fn has_answered(&self) -> bool {
        self.best == Best::Page
    }

    /// Takes a response.
    pub(super) fn respond(&mut self, understood: bool) {
        self.best = self.best.max(if understood { Best::Page } else { Best::Response });
    }

    /// Takes an error. A page that hangs, or that the gateway asks to be spared, ends the cycle as long as nothing has
    /// answered: it may be the whole gateway. One that is `known` to fail does not.
    pub(super) fn fail(&mut self, error: &Error, known: bool) {
        match error {
            _ if error.is_about_every_page() => self.ended = true,
            Error::Unreachable { connected: false, .. } => self.ended |= self.best == Best::Nothing,
            Error::Unreachable { connected: true, .. } => {
                self.hung = true;
                self.ended |= !self.has_answered() && !known;
            }
            Error::Busy { .. } => self.ended |= !self.has_answered() && !known,
            _ => self.respond(false),
        }
    }

    /// Whether pages that are known to hang are not asked for: one is enough, as long as nothing answers.
    pub(super) fn spares_hanging(&self) -> bool {
        self.hung && !self.has_answered()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/ivp/meters";

    fn busy() -> Error {
        Error::Busy { status: 503, path: PATH, retry_after: None }
    }

    fn unreachable(connected: bool) -> Error {
        Error::Unreachable { address: "x".to_owned(), path: PATH, connected, why: "timed out".to_owned() }
    }

    fn ended(known: bool, errors: &[Error]) -> bool {
        let mut course = Course::default();
        for error in errors {
            course.fail(error, known);
        }
        course.ended
    }

    #[test]
    fn a_gateway_that_does_not_answer_is_asked_for_nothing_more() {
        for error in [busy(), unreachable(true), unreachable(false), Error::NoToken, Error::TokenRefused] {
            assert!(ended(false, &[error]));
        }
        assert!(!ended(false, &[Error::Missing { path: PATH }, unreachable(false)]), "it did answer");
    }

    #[test]
    fn a_page_that_is_known_to_fail_is_not_the_gateway() {
        assert!(!ended(true, &[busy(), busy(), unreachable(true)]));
        let mut course = Course::default();
        course.fail(&unreachable(true), true);
        assert!(course.spares_hanging());
        course.respond(true);
        assert!(!course.spares_hanging());
    }
}
