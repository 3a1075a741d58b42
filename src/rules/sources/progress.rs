//! The progress of a cycle, which ends early when the gateway does not respond.

use crate::io::gateway::{Error, Stage};

/// The best result of a request so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Best {
    #[default]
    Nothing,
    /// A response of any kind.
    Response,
    /// A well-formed page.
    Page,
}

/// The progress of one cycle.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    best: Best,
    /// A request got no response.
    hung: bool,
    ended: bool,
}

impl Progress {
    /// Creates the state before the first cycle, in which nothing is requested.
    pub(super) const fn over() -> Self {
        Self { best: Best::Nothing, hung: false, ended: true }
    }

    /// Returns `true` if further requests are pointless.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns `true` if a well-formed page arrived.
    pub(super) fn has_answered(&self) -> bool {
        self.best == Best::Page
    }

    /// Records a response.
    pub(super) fn respond(&mut self, understood: bool) {
        self.best = self.best.max(if understood { Best::Page } else { Best::Response });
    }

    /// Records an error.
    ///
    /// A timeout or a busy page ends the cycle if no page has arrived yet: the whole gateway may be affected. A page that
    /// is `known` to fail does not end it.
    pub(super) fn fail(&mut self, error: &Error, known: bool) {
        match error {
            _ if error.is_about_every_page() => self.ended = true,
            Error::Unreachable { stage: Stage::Connect | Stage::Handshake, .. } => {
                self.ended |= self.best == Best::Nothing;
            }
            Error::Unreachable { stage: Stage::Response, .. } => {
                self.hung = true;
                self.ended |= !self.has_answered() && !known;
            }
            Error::Busy { .. } => self.ended |= !self.has_answered() && !known,
            _ => self.respond(false),
        }
    }

    /// Returns `true` if pages that are known to hang should be skipped: one is enough while no page arrives.
    pub(super) fn skips_hanging(&self) -> bool {
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
        let stage = if connected { Stage::Response } else { Stage::Connect };
        Error::Unreachable { address: "x".to_owned(), path: PATH, stage, why: "timed out".to_owned() }
    }

    fn ended(known: bool, errors: &[Error]) -> bool {
        let mut progress = Progress::default();
        for error in errors {
            progress.fail(error, known);
        }
        progress.ended
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
        let mut progress = Progress::default();
        progress.fail(&unreachable(true), true);
        assert!(progress.skips_hanging());
        progress.respond(true);
        assert!(!progress.skips_hanging());
    }
}
