//! Faults of single responses.

use std::time::Duration;

use super::response::{Answer, Delivery};

/// A fault of a response.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The response is never sent.
    Hang,
    /// The connection is dropped in its place.
    Reset,
    /// The response is sent at one byte per second.
    Trickle,
    /// The response is sent later.
    Delay(Duration),
    /// The body is cut in half, with a matching content length.
    Truncated,
    /// The body has 4 GB.
    Huge,
    /// The response of an overloaded gateway: 503, "Resource busy, please retry after 30 seconds".
    Busy,
    /// A redirect (301) to another host.
    Redirect,
    /// An HTML page with status 200.
    Html,
    /// Another response.
    Respond(Answer),
}

impl Fault {
    /// Limits the fault to this request target, with or without its query.
    pub fn at(self, path: &str) -> Failure {
        Failure { path: Some(path.to_owned()), ..Failure::from(self) }
    }

    /// Limits the fault to the next response.
    pub fn once(self) -> Failure {
        Failure::from(self).once()
    }

    /// Returns the response that replaces the normal one. The request then has no effect: an outage opens no session.
    pub(super) fn replacement(&self) -> Option<Answer> {
        match self {
            Self::Busy => Some(Answer::text(503, "Resource busy, please retry after 30 seconds\n")),
            Self::Redirect => Some(Answer::html(301, MOVED).header("location", "https://localhost/home")),
            Self::Html => {
                Some(Answer::html(200, "<!DOCTYPE html><html><body><h1>Please wait</h1></body></html>"))
            }
            Self::Respond(answer) => Some(answer.clone()),
            _ => None,
        }
    }

    /// Applies the fault to a normal response. Its request had an effect, such as a new session of which the client does
    /// not learn.
    pub(super) fn apply(&self, answer: Answer) -> Answer {
        match self {
            Self::Hang => Answer { delivery: Delivery::Hung, ..answer },
            Self::Reset => Answer { delivery: Delivery::Dropped, ..answer },
            Self::Trickle => Answer { delivery: Delivery::Trickled, ..answer },
            Self::Huge => Answer { delivery: Delivery::Huge, ..answer },
            Self::Delay(delay) => Answer { delay: *delay, ..answer },
            Self::Truncated => Answer { body: answer.body.slice(..answer.body.len() / 2), ..answer },
            Self::Busy | Self::Redirect | Self::Html | Self::Respond(_) => answer,
        }
    }
}

const MOVED: &str = "<html>\r\n<head><title>301 Moved Permanently</title></head>\r\n</html>\r\n";

/// A fault with the path that it affects and how often.
#[derive(Clone, Debug)]
pub struct Failure {
    fault: Fault,
    path: Option<String>,
    once: bool,
}

impl From<Fault> for Failure {
    /// Affects every response until the server is healed.
    fn from(fault: Fault) -> Self {
        Self { fault, path: None, once: false }
    }
}

impl Failure {
    /// Limits the fault to the next response.
    #[must_use]
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    fn affects(&self, target: &str) -> bool {
        let bare = target.split_once('?').map_or(target, |(bare, _)| bare);
        self.path.as_deref().is_none_or(|path| path == target || path == bare)
    }
}

/// The faults of one server, in the order in which they are applied.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Failure>);

impl Faults {
    pub(super) fn add(&mut self, failure: Failure) {
        self.0.push(failure);
    }

    pub(super) fn heal(&mut self) {
        self.0.clear();
    }

    /// Returns the fault of the response to a request for `target`.
    pub(super) fn take(&mut self, target: &str) -> Option<Fault> {
        let place = self.0.iter().position(|failure| failure.affects(target))?;
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
    fn a_fault_affects_its_path_and_only_once_if_limited() {
        let mut faults = Faults::default();
        faults.add(Fault::Busy.at("/info").once());
        assert!(faults.take("/ivp/meters").is_none());
        assert_eq!(faults.take("/info").unwrap().replacement().unwrap().status, 503);
        assert!(faults.take("/info").is_none());
    }

    #[test]
    fn a_path_covers_its_queries() {
        let mut faults = Faults::default();
        faults.add(Fault::Redirect.at("/production.json"));
        assert_eq!(faults.take("/production.json?details=1").unwrap().replacement().unwrap().status, 301);
        faults.heal();
        assert!(faults.take("/production.json").is_none());
    }

    #[test]
    fn a_truncated_body_is_cut_in_half() {
        let answer = Fault::Truncated.apply(Answer::json(200, r#"{"a":1}"#));
        assert_eq!(&answer.body[..], br#"{"a"#.get(..3).unwrap());
        assert_eq!(answer.status, 200);
    }
}
