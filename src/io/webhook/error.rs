//! The reasons that a message was not delivered.

use std::time::Duration;

/// The reason that a message was not delivered. Never contains the address, which may hold a secret, or the response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There was no connection, or no response.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The certificate of the server is not valid, or the certificate authorities of this machine cannot be read.
    #[error("no trusted connection to the server: {0}")]
    Untrusted(String),
    /// The address is plain http, and the name leads to the internet.
    #[error("the name in the address leads to the internet, where plain http is not used; write https://")]
    NotEncrypted,
    /// The server redirects. Redirects are not followed, because they may lead anywhere.
    #[error("the server redirects (HTTP {0}), which is not followed; write the final address")]
    Redirected(u16),
    /// The server refuses the user, the password or the token, or requires one.
    #[error("the server refused access (HTTP {0}); check the user, password or token in the address")]
    Refused(u16),
    /// There is nothing at the address.
    #[error("the server does not know this address (HTTP {0}); check its path")]
    NotFound(u16),
    /// The server accepts no more messages for a while.
    #[error("the server accepts no more messages for a while (HTTP 429)")]
    TooMany(Option<Duration>),
    /// The server does not understand the message.
    #[error("the server did not accept the message (HTTP {0}); check that `format` is what it expects")]
    Rejected(u16),
    /// The server failed.
    #[error("the server failed (HTTP {0})")]
    Failing(u16, Option<Duration>),
}

impl Error {
    /// Returns a stable identifier. Successive failures of one kind are one outage.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Untrusted(_) => "untrusted",
            Self::NotEncrypted => "not_encrypted",
            Self::Redirected(_) => "redirected",
            Self::Refused(_) => "refused",
            Self::NotFound(_) => "not_found",
            Self::TooMany(_) => "too_many",
            Self::Rejected(_) => "rejected",
            Self::Failing(..) => "failing",
        }
    }

    /// Returns the delay that the server asked for.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany(delay) | Self::Failing(_, delay) => *delay,
            _ => None,
        }
    }

    /// Returns the error for a status, or `None` for success.
    pub(super) const fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Self> {
        Some(match status {
            200..=299 => return None,
            300..=399 => Self::Redirected(status),
            401 | 403 | 407 => Self::Refused(status),
            404 | 405 | 410 => Self::NotFound(status),
            429 => Self::TooMany(retry_after),
            500.. => Self::Failing(status, retry_after),
            _ => Self::Rejected(status),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_says_what_to_do() {
        let said = [200, 204, 301, 308, 400, 401, 403, 404, 413, 429, 500, 503].map(|status| {
            let error = Error::of_status(status, None);
            format!("{status}: {}", error.map_or_else(|| "delivered".to_owned(), |error| error.to_string()))
        });
        insta::assert_snapshot!(said.join("\n"), @"
        200: delivered
        204: delivered
        301: the server redirects (HTTP 301), which is not followed; write the final address
        308: the server redirects (HTTP 308), which is not followed; write the final address
        400: the server did not accept the message (HTTP 400); check that `format` is what it expects
        401: the server refused access (HTTP 401); check the user, password or token in the address
        403: the server refused access (HTTP 403); check the user, password or token in the address
        404: the server does not know this address (HTTP 404); check its path
        413: the server did not accept the message (HTTP 413); check that `format` is what it expects
        429: the server accepts no more messages for a while (HTTP 429)
        500: the server failed (HTTP 500)
        503: the server failed (HTTP 503)
        ");
    }
}
