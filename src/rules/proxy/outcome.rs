//! What a request for a page led to, by what it means for the programs that want the page.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::pages::Page;
use crate::io::gateway::{Error, Fetched, Stage};

/// What a request for a page led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The page.
    Good,
    /// The gateway does not show this page: it does not exist, or the role is too low. Programs learn from it which
    /// features exist.
    Refused,
    /// A response that is not the page, and perhaps is when it is requested again.
    Failing,
    /// The gateway asked clients to back off, possibly for this long.
    Busy(Option<Duration>),
    /// No response arrived on an open connection, or no complete one.
    Hanging,
    /// Nothing was requested, or nothing responds. It says nothing about the page.
    Unreachable,
}

impl Outcome {
    /// Classifies the result of a request for `page`.
    pub fn of(page: &Page, result: Result<&Fetched, &Error>) -> Self {
        match result {
            Ok(fetched) => match &fetched.error {
                // A gateway that is starting sends HTML in place of other pages, or only a part of them.
                None if page.is_json() && !is_json(&fetched.page.body) => Self::Failing,
                None => Self::Good,
                Some(error) => Self::of_error(error),
            },
            Err(error) => Self::of_error(error),
        }
    }

    fn of_error(error: &Error) -> Self {
        match error {
            Error::Forbidden { .. } | Error::Missing { .. } => Self::Refused,
            Error::Busy { retry_after, .. } => Self::Busy(*retry_after),
            Error::Unreachable { stage: Stage::Response, .. } => Self::Hanging,
            error if error.is_about_one_page() => Self::Failing,
            _ => Self::Unreachable,
        }
    }
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}
