//! Why a gateway did not give what was asked, by what the caller does next.

use std::time::Duration;

use crate::base::reading::Serial;
use crate::io::tls::Fingerprint;

/// A failed request to a gateway. None of these is a reason to log in to the cloud but [`Error::TokenRefused`],
/// and that only by the rules of `logins`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer: try again later. `why` is the innermost cause in words.
    #[error("the gateway at {address} did not answer {path}: {why}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What was asked.
        path: &'static str,
        /// Whether a connection was open: then it may be this page alone that hangs.
        connected: bool,
        /// The cause.
        why: String,
    },
    /// It asked to be left alone for a while (503, 429).
    #[error("the gateway is busy (HTTP {status} at {path}); it is asked again later")]
    Busy {
        /// The answer's status.
        status: u16,
        /// What was asked.
        path: &'static str,
        /// How long it asked for.
        retry_after: Option<Duration>,
    },
    /// It failed inside (other 5xx).
    #[error("the gateway failed to answer {path} (HTTP {status})")]
    Failing {
        /// The answer's status.
        status: u16,
        /// What was asked.
        path: &'static str,
    },
    /// `/auth/check_jwt` answered with a clean 401: the token is not accepted.
    #[error("the gateway does not accept the token")]
    TokenRefused,
    /// 401 or 403 although the token is accepted: its role does not reach this page. Before firmware 7: the
    /// Digest user's password is wrong or not enough.
    #[error("the login in use may not read {path} (HTTP {status}): it needs another role or password")]
    Forbidden {
        /// The answer's status.
        status: u16,
        /// What was asked.
        path: &'static str,
    },
    /// This firmware has no such page.
    #[error("the gateway has no {path}")]
    Missing {
        /// What was asked.
        path: &'static str,
    },
    /// A redirect, which is never followed.
    #[error("the gateway redirects {path} elsewhere, which is not followed")]
    Moved {
        /// What was asked.
        path: &'static str,
    },
    /// An answer that is not what the page gives: HTML, cut off, another program.
    #[error("the answer to {path} cannot be understood: {why}")]
    Malformed {
        /// What was asked.
        path: &'static str,
        /// What is odd about it, never its text.
        why: String,
    },
    /// An answer beyond the cap.
    #[error("the answer to {path} is longer than {limit} bytes, more than this page can have")]
    TooLarge {
        /// What was asked.
        path: &'static str,
        /// The cap.
        limit: usize,
    },
    /// It shows another public key than the one remembered for its serial.
    #[error(
        "the gateway at {address} shows another key ({seen}) than before ({known}). Nothing is sent to it. If \
         you replaced or reset the gateway, or it was updated, accept the new key with `enphased gateway trust`"
    )]
    KeyChanged {
        /// Where it is.
        address: String,
        /// The gateway that is expected there.
        serial: Serial,
        /// The remembered key.
        known: Fingerprint,
        /// The key it shows.
        seen: Fingerprint,
    },
    /// A key was remembered for its serial, and the file is damaged.
    #[error(
        "which key gateway {serial} has is lost, because gateway-{serial}.json and its copy are damaged or missing. Nothing \
         is sent to {address}, which shows {}: it may be another device. If nothing was changed there, accept it with \
         `enphased gateway trust`",
        shown(seen.as_ref())
    )]
    KeyLost {
        /// Where it is.
        address: String,
        /// What it calls itself.
        serial: Serial,
        /// The key it shows, where one is compared.
        seen: Option<Fingerprint>,
    },
    /// It answers over plain http, although its serial has shown a key over TLS.
    #[error(
        "the gateway at {address} says over plain http that it is {serial}, which has shown a TLS key ({known}) before. \
         Nothing is read from it, because another device may have its address. If its firmware really went back to \
         plain http, accept that with `enphased gateway trust`"
    )]
    KeyMissing {
        /// Where it is.
        address: String,
        /// The gateway it says it is.
        serial: Serial,
        /// The remembered key.
        known: Fingerprint,
    },
    /// Another gateway is there than was read until now.
    #[error(
        "the gateway at {address} is {is} now, and was {was} before: it was replaced, or another device has its address"
    )]
    Replaced {
        /// Where it is.
        address: String,
        /// The gateway that was there.
        was: Serial,
        /// The gateway that is there now.
        is: Serial,
    },
    /// What answers at `/info` is no gateway, or does not say which.
    #[error("the answer of {address} to /info cannot be understood: {why}")]
    Unidentified {
        /// Where it is.
        address: String,
        /// What is odd about the answer, never its text.
        why: String,
    },
    /// A token of another gateway was about to be used.
    #[error("the token is for gateway {token}, and the gateway at {address} is {serial}; it is not sent")]
    ForeignToken {
        /// Where the gateway is.
        address: String,
        /// The gateway.
        serial: Serial,
        /// The gateway that the token is for.
        token: Serial,
    },
    /// Its certificate cannot be checked at all.
    #[error(
        "the gateway's certificate at {address} cannot be checked ({why}). If no update of the gateway helps, \
         set tls = \"insecure\" for it in the configuration"
    )]
    Certificate {
        /// Where it is.
        address: String,
        /// What the TLS library said.
        why: String,
    },
    /// It has no TLS in common with this program.
    #[error(
        "the gateway at {address} and this program have no TLS in common ({why}). This program speaks TLS 1.2 and 1.3, with \
         ECDHE and AES-GCM or ChaCha20-Poly1305; tls = \"insecure\" does not change that. Is this the port of the gateway's \
         web page? If it is, only an update of the gateway helps, or a TLS proxy in front of it"
    )]
    Incompatible {
        /// Where it is.
        address: String,
        /// What the TLS library said.
        why: String,
    },
    /// Configured with `http://`, which this gateway does not answer or over which it cannot be sent its token.
    #[error(
        "the gateway at {address} is configured with http://, and its firmware is read over https alone: no token is \
         sent over http. Write the address without http://"
    )]
    NotEncrypted {
        /// Where it is.
        address: String,
    },
    /// Its firmware reads no tokens.
    #[error("the firmware of the gateway at {address} takes no token")]
    TokenUnwanted {
        /// Where it is.
        address: String,
    },
    /// The client could not be built at all.
    #[error("requests to the gateway cannot be set up: {why}")]
    Setup {
        /// The cause.
        why: String,
    },
    /// A page that needs a token was asked for without one.
    #[error("there is no token for the gateway yet")]
    NoToken,
}

impl Error {
    /// Why a page failed, in few words, where the page is named beside them.
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

    /// Of two failures of one poll the one that explains it better: the first, unless the second concerns every page, or
    /// the first only says that a page is not there, as some are not on every firmware.
    pub fn of_two(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(second)) if second.is_about_every_page() && !first.is_about_every_page() => {
                Some(second)
            }
            (Some(Self::Missing { .. }), Some(second)) => Some(second),
            (first, second) => first.or(second),
        }
    }

    /// Whether an answer of `/auth/check_jwt` like this says nothing of the token, so that its pages may accept it.
    pub const fn leaves_token_unjudged(&self) -> bool {
        match self {
            Self::Unreachable { connected, .. } => *connected,
            Self::Busy { .. } | Self::Forbidden { .. } => true,
            _ => self.is_about_one_page(),
        }
    }

    /// Whether somebody else may be there, so that everything about the gateway is found out anew.
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

    /// Whether no page can be read, whichever is asked for.
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

    /// Whether the gateway answers, and only this page does not give what it should.
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

fn shown(key: Option<&Fingerprint>) -> String {
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
            assert!(matches!(Error::of_two(first, second), Some(Error::Malformed { path: "/b", .. })));
        }
        assert!(matches!(Error::of_two(missing(), None), Some(Error::Missing { .. })));
    }
}
