//! Why a request to a gateway failed, by what the caller does next.

use std::time::Duration;

use crate::base::reading::Serial;
use crate::io::tls::Fingerprint;

/// The stage that a request without a response reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing responds at the address: no route, an unknown name, a refused connection, or a timeout.
    Connect,
    /// A device accepted the connection, which could not be used.
    Handshake,
    /// The connection was open. Perhaps only this page does not respond.
    Response,
}

/// A failed request to a gateway. Only [`Error::TokenRefused`] can lead to a cloud login, by the rules of `logins`.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of the fields say it")]
pub enum Error {
    /// No response; the request can be retried later. `why` is the innermost cause in words.
    #[error("the gateway at {address} did not respond to {path}: {why}")]
    Unreachable { address: String, path: &'static str, stage: Stage, why: String },
    /// The gateway asked clients to back off (503, 429).
    #[error("the gateway is busy (HTTP {status} at {path}); retrying later")]
    Busy { status: u16, path: &'static str, retry_after: Option<Duration> },
    /// The gateway has an internal failure (other 5xx).
    #[error("the gateway failed to serve {path} (HTTP {status})")]
    Failing { status: u16, path: &'static str },
    /// `/auth/check_jwt` returned a clean 401: the token is not accepted.
    #[error("the gateway does not accept the token")]
    TokenRefused,
    /// 401 or 403 although the token is accepted: its role may not read this page. Before firmware 7: the password of
    /// the Digest user is wrong, or the user may not read this page.
    #[error("access to {path} was refused (HTTP {status}): the page requires another role or password")]
    Forbidden { status: u16, path: &'static str },
    /// This firmware does not have the page.
    #[error("the gateway has no page {path}")]
    Missing { path: &'static str },
    /// A redirect. Redirects are never followed.
    #[error("the gateway redirected {path}; redirects are not followed")]
    Moved { path: &'static str },
    /// A response with other content than the page has: HTML, cut-off data, the page of another program.
    #[error("the response to {path} is invalid: {why}")]
    Malformed {
        path: &'static str,
        /// The problem with the response. Never contains its text.
        why: String,
    },
    /// A response beyond the size limit.
    #[error("the response to {path} exceeds {limit} bytes, the limit for this page")]
    TooLarge { path: &'static str, limit: usize },
    /// The gateway presented another public key than the one remembered for its serial number.
    #[error(
        "the gateway at {address} presented a different key ({seen}) than before ({known}). Nothing is sent to it. If \
         you replaced, reset or updated the gateway, accept the new key with `enphased gateway trust`"
    )]
    KeyChanged {
        address: String,
        /// The serial number of the gateway that is expected at the address.
        serial: Serial,
        known: Fingerprint,
        seen: Fingerprint,
    },
    /// A key was remembered for the serial number, but its file is lost.
    #[error(
        "the key of gateway {serial} is lost, because gateway-{serial}.json and its copy are damaged or missing. Nothing \
         is sent to {address}, which presented {}: it may be another device. If nothing was changed there, accept it with \
         `enphased gateway trust`",
        presented(seen.as_ref())
    )]
    KeyLost {
        address: String,
        /// The serial number that the device claims.
        serial: Serial,
        /// The key that the device presented, unless certificates are not checked.
        seen: Option<Fingerprint>,
    },
    /// The device responded over plain http, although its serial number has presented a key over TLS.
    #[error(
        "the device at {address} claims over plain http to be gateway {serial}, which has presented a TLS key ({known}) \
         before. Nothing is read from it, because another device may use the gateway's address. If its firmware really \
         went back to plain http, accept that with `enphased gateway trust`"
    )]
    KeyMissing {
        address: String,
        /// The serial number that the device claims.
        serial: Serial,
        known: Fingerprint,
    },
    /// Another serial number responds at the address than until now.
    #[error(
        "the gateway at {address} changed from {was} to {is}: it was replaced, or another device uses its address"
    )]
    Replaced { address: String, was: Serial, is: Serial },
    /// The response to `/info` is not a gateway's, or does not contain a serial number.
    #[error("the response of {address} to /info is invalid: {why}")]
    Unidentified {
        address: String,
        /// The problem with the response. Never contains its text.
        why: String,
    },
    /// The token belongs to another gateway.
    #[error(
        "the token is for gateway {token}, but the gateway at {address} is {serial}; the token is not sent"
    )]
    ForeignToken {
        address: String,
        serial: Serial,
        /// The serial number of the gateway that the token is for.
        token: Serial,
    },
    /// The TLS library cannot check the certificate at all.
    #[error(
        "cannot check the certificate of the gateway at {address} ({why}). If an update of the gateway does not help, \
         set tls = \"insecure\" for it in the configuration"
    )]
    Certificate { address: String, why: String },
    /// The gateway and this program support no common TLS version, cipher or key exchange.
    #[error(
        "the gateway at {address} and this program support no common version or cipher of TLS ({why}). This program \
         supports TLS 1.2 and 1.3, with ECDHE and AES-GCM or ChaCha20-Poly1305; tls = \"insecure\" does not change that. \
         Check that this is the port of the gateway's web page. If it is, update the gateway, or use a TLS proxy in \
         front of it"
    )]
    Incompatible { address: String, why: String },
    /// The address is configured with `http://`, but the gateway requires https, or requires a token.
    #[error(
        "the gateway at {address} is configured with http://, but its firmware requires https: a token is never sent \
         over http. Remove http:// from the address"
    )]
    NotEncrypted { address: String },
    /// The firmware does not use tokens.
    #[error("the firmware of the gateway at {address} does not use tokens")]
    TokenUnwanted { address: String },
    /// The request could not be prepared.
    #[error("cannot prepare a request to the gateway: {why}")]
    Setup { why: String },
    /// The page requires a token, and there is none.
    #[error("there is no token for the gateway yet")]
    NoToken,
}

impl Error {
    /// Describes the failure in a few words, for use beside the name of the page.
    pub fn in_short(&self) -> String {
        match self {
            Self::Busy { status, .. } | Self::Failing { status, .. } | Self::Forbidden { status, .. } => {
                format!("HTTP {status}")
            }
            Self::Missing { .. } => "HTTP 404".to_owned(),
            Self::Moved { .. } => "a redirect".to_owned(),
            Self::Unreachable { why, .. } | Self::Malformed { why, .. } => why.clone(),
            Self::TooLarge { limit, .. } => format!("more than {limit} bytes"),
            other => other.to_string(),
        }
    }

    /// Returns a stable identifier for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Busy { .. } => "busy",
            Self::Failing { .. } => "failing",
            Self::TokenRefused | Self::NoToken => "token_refused",
            Self::Forbidden { .. } => "forbidden",
            Self::Missing { .. } => "missing",
            Self::Moved { .. } | Self::Malformed { .. } | Self::TooLarge { .. } => "invalid",
            _ => "other",
        }
    }

    /// Returns the failure that better explains a failed poll. This is the first, unless the second concerns every
    /// page, or the first only says that a page is missing.
    pub fn main_cause(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(second)) if second.is_about_every_page() && !first.is_about_every_page() => {
                Some(second)
            }
            (Some(Self::Missing { .. }), Some(second)) => Some(second),
            (first, second) => first.or(second),
        }
    }

    /// Returns whether such a response of `/auth/check_jwt` neither accepts nor refuses the token, so that the data
    /// pages may accept it.
    pub const fn says_nothing_about_token(&self) -> bool {
        match self {
            Self::Unreachable { stage, .. } => matches!(stage, Stage::Response),
            Self::Busy { .. } | Self::Forbidden { .. } => true,
            _ => self.is_about_one_page(),
        }
    }

    /// Returns whether nothing responds at the address, so that a request disturbs no gateway.
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { stage: Stage::Connect, .. })
    }

    /// Returns whether another device may be at the address, so that the gateway must be located and identified again.
    pub const fn is_about_identity(&self) -> bool {
        matches!(
            self,
            Self::KeyChanged { .. }
                | Self::KeyLost { .. }
                | Self::KeyMissing { .. }
                | Self::Replaced { .. }
                | Self::NotEncrypted { .. }
                | Self::ForeignToken { .. }
        )
    }

    /// Returns whether the failure prevents the reading of every page.
    pub const fn is_about_every_page(&self) -> bool {
        self.is_about_identity()
            || matches!(
                self,
                Self::TokenRefused
                    | Self::NoToken
                    | Self::TokenUnwanted { .. }
                    | Self::Certificate { .. }
                    | Self::Incompatible { .. }
                    | Self::Setup { .. }
            )
    }

    /// Returns whether the gateway responds, and only this page fails.
    pub const fn is_about_one_page(&self) -> bool {
        matches!(
            self,
            Self::Failing { .. }
                | Self::Missing { .. }
                | Self::Moved { .. }
                | Self::Malformed { .. }
                | Self::Unidentified { .. }
                | Self::TooLarge { .. }
        )
    }
}

fn presented(key: Option<&Fingerprint>) -> String {
    key.map_or_else(|| "no key that is checked".to_owned(), |key| format!("the key {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_there_explains_nothing_while_another_is_broken() {
        let missing = || Some(Error::Missing { path: "/a" });
        let broken = || Some(Error::Malformed { path: "/b", why: "it is cut off".to_owned() });
        for (first, second) in [(missing(), broken()), (broken(), missing()), (None, broken())] {
            assert!(matches!(Error::main_cause(first, second), Some(Error::Malformed { path: "/b", .. })));
        }
        assert!(matches!(Error::main_cause(missing(), None), Some(Error::Missing { .. })));
    }
}
