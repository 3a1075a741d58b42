//! How an answer goes wrong on its way.

use std::time::Duration;

use super::answer::{Answer, Manner};

/// What happens to an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It never comes.
    Hang,
    /// The connection is dropped instead.
    Reset,
    /// It comes one byte a second.
    Trickle,
    /// It comes later.
    Delay(Duration),
    /// It is cut in the middle, with a length that fits the rest.
    Truncated,
    /// It is 4 GB long.
    Huge,
    /// A gateway short of breath: 503, "Resource busy, please retry after 30 seconds".
    Busy,
    /// A 301 to somewhere else.
    Redirect,
    /// A page for people, with status 200.
    Html,
    /// Something else is said.
    Says(Answer),
}

impl Fault {
    /// Only on this request target, with or without its query.
    pub fn at(self, path: &str) -> Failure {
        Failure { path: Some(path.to_owned()), ..Failure::from(self) }
    }

    /// Only at the next answer.
    pub fn once(self) -> Failure {
        Failure::from(self).once()
    }

    /// What is said instead of an answer. The request has then no effect: an outage opens no session.
    pub(super) fn instead(&self) -> Option<Answer> {
        match self {
            Self::Busy => Some(Answer::text(503, "Resource busy, please retry after 30 seconds\n")),
            Self::Redirect => Some(Answer::html(301, MOVED).header("location", "https://localhost/home")),
            Self::Html => {
                Some(Answer::html(200, "<!DOCTYPE html><html><body><h1>Please wait</h1></body></html>"))
            }
            Self::Says(answer) => Some(answer.clone()),
            _ => None,
        }
    }

    /// What becomes of an answer that was given: a session may have been opened and nobody learns of it.
    pub(super) fn spoil(&self, answer: Answer) -> Answer {
        match self {
            Self::Hang => Answer { manner: Manner::Hung, ..answer },
            Self::Reset => Answer { manner: Manner::Dropped, ..answer },
            Self::Trickle => Answer { manner: Manner::Trickled, ..answer },
            Self::Huge => Answer { manner: Manner::Huge, ..answer },
            Self::Delay(delay) => Answer { delay: *delay, ..answer },
            Self::Truncated => Answer { body: answer.body.slice(..answer.body.len() / 2), ..answer },
            Self::Busy | Self::Redirect | Self::Html | Self::Says(_) => answer,
        }
    }
}

const MOVED: &str = "<html>\r\n<head><title>301 Moved Permanently</title></head>\r\n</html>\r\n";

/// A fault, where and how often it strikes.
#[derive(Clone, Debug)]
pub struct Failure {
    fault: Fault,
    path: Option<String>,
    once: bool,
}

impl From<Fault> for Failure {
    /// Everywhere, until healed.
    fn from(fault: Fault) -> Self {
        Self { fault, path: None, once: false }
    }
}

impl Failure {
    /// Only at the next answer.
    #[must_use]
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    fn strikes(&self, target: &str) -> bool {
        let bare = target.split_once('?').map_or(target, |(bare, _)| bare);
        self.path.as_deref().is_none_or(|path| path == target || path == bare)
    }
}

/// The faults of one server; those that come later strike later.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Failure>);

impl Faults {
    pub(super) fn add(&mut self, failure: Failure) {
        self.0.push(failure);
    }

    pub(super) fn heal(&mut self) {
        self.0.clear();
    }

    /// The fault that strikes the answer to a request of `target`.
    pub(super) fn strike(&mut self, target: &str) -> Option<Fault> {
        let place = self.0.iter().position(|failure| failure.strikes(target))?;
        let failure = self.0.get(place)?.clone();
        if failure.once {
            self.0.remove(place);
        }
        Some(failure.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_where_it_was_put_and_as_often() {
        let mut faults = Faults::default();
        faults.add(Fault::Busy.at("/info").once());
        assert!(faults.strike("/ivp/meters").is_none());
        assert_eq!(faults.strike("/info").unwrap().instead().unwrap().status, 503);
        assert!(faults.strike("/info").is_none());
    }

    #[test]
    fn a_path_covers_its_queries() {
        let mut faults = Faults::default();
        faults.add(Fault::Redirect.at("/production.json"));
        assert_eq!(faults.strike("/production.json?details=1").unwrap().instead().unwrap().status, 301);
        faults.heal();
        assert!(faults.strike("/production.json").is_none());
    }

    #[test]
    fn half_of_a_document_is_no_document() {
        let answer = Fault::Truncated.spoil(Answer::json(200, r#"{"a":1}"#));
        assert_eq!(&answer.body[..], br#"{"a"#.get(..3).unwrap());
        assert_eq!(answer.status, 200);
    }
}
