//! The token in use, and the session that the gateway opened for it.

use std::time::Duration;

use tokio::time::Instant;

use super::peer::BoundSecret;

/// The time after which a token is checked again that the gateway neither accepts nor refuses: the length of a session.
const RECHECK_AFTER: Duration = Duration::from_secs(10 * 60);
/// The time for which further 401 responses are attributed to the page, after one in a session that had just been
/// opened.
const FRESH_SESSION: Duration = Duration::from_secs(60);

/// The state of the check of the token in use.
#[derive(Debug, Default)]
enum TokenCheck {
    /// Not checked since the last 401.
    #[default]
    Needed,
    /// The gateway accepts the token.
    Accepted,
    /// The gateway neither accepted nor refused the token at this time, for this reason.
    Unclear(Instant, String),
}

/// The responses of a gateway about the token in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenVerdict {
    /// The gateway has accepted the token.
    pub accepted: bool,
    /// The gateway has refused the token, and has not accepted it since.
    pub refused: bool,
}

/// The credentials for a gateway of firmware 7 and later: the token, and the cookie with which the gateway need not
/// check the token again. Some pages require both (firmware 7.0; `/ivp/meters/readings` on others).
#[derive(Debug, Default)]
pub(crate) struct Session {
    token: Option<BoundSecret>,
    check: TokenCheck,
    cookie: Option<BoundSecret>,
    /// When a page returned 401 in a session that had just been opened.
    refused_fresh_at: Option<Instant>,
    /// `true` if the log already says that the token is used although its check was unclear.
    warned: bool,
}

impl Session {
    /// Uses another token, and closes the session of the previous one.
    pub(crate) fn use_token(&mut self, token: Option<&BoundSecret>) {
        if self.token.as_ref() != token {
            self.token = token.cloned();
            self.refused_fresh_at = None;
            self.close();
        }
    }

    pub(crate) fn token(&self) -> Option<&BoundSecret> {
        self.token.as_ref()
    }

    pub(crate) fn cookie(&self) -> Option<&BoundSecret> {
        self.cookie.as_ref()
    }

    /// Returns whether pages can be requested without checking the token first.
    pub(crate) fn is_open(&self) -> bool {
        match &self.check {
            TokenCheck::Needed => false,
            TokenCheck::Accepted => true,
            TokenCheck::Unclear(at, _) => at.elapsed() < RECHECK_AFTER,
        }
    }

    /// Records that the gateway accepts the token; returns whether to log it. A gateway that sends no cookie is not
    /// asked again for each page.
    pub(crate) fn open(&mut self, cookie: Option<BoundSecret>) -> bool {
        self.check = TokenCheck::Accepted;
        self.update_cookie(cookie);
        std::mem::take(&mut self.warned)
    }

    /// Records that the gateway neither accepts nor refuses the token, because of `why`. Pages are requested with it
    /// anyway.
    pub(crate) fn record_unclear(&mut self, why: String) {
        self.check = TokenCheck::Unclear(Instant::now(), why);
    }

    /// Records that a page was read although the check of the token was unclear. Returns the reason the first time.
    pub(crate) fn record_read(&mut self) -> Option<&str> {
        let TokenCheck::Unclear(_, why) = &self.check else { return None };
        if self.warned {
            return None;
        }
        self.warned = true;
        Some(why.as_str())
    }

    /// Records a 401 in a session that has just been opened. It and those that follow are attributed to the page.
    pub(crate) fn record_page_refusal(&mut self) {
        self.refused_fresh_at = Some(Instant::now());
    }

    /// Returns whether a 401 is attributed to the page rather than to the session.
    pub(crate) fn attributes_401_to_page(&self) -> bool {
        self.refused_fresh_at.is_some_and(|at| at.elapsed() < FRESH_SESSION)
    }

    /// Replaces the cookie. Any response may carry a new one.
    pub(crate) fn update_cookie(&mut self, cookie: Option<BoundSecret>) {
        self.cookie = cookie.or_else(|| self.cookie.take());
    }

    /// Drops the session, which the gateway no longer knows (10 minutes without use, a restart). The token stays.
    pub(crate) fn close(&mut self) {
        self.check = TokenCheck::Needed;
        self.cookie = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secrets::Secret;
    use crate::io::gateway::peer::{Peer, Proof};

    fn secret(text: &str) -> BoundSecret {
        let peer = Peer { serial: "122300000001".parse().unwrap(), proof: Proof::Unproven };
        BoundSecret::new(Secret::new(text.to_owned()), &peer)
    }

    #[test]
    fn another_token_closes_the_session_and_the_same_keeps_it() {
        let mut session = Session::default();
        session.use_token(Some(&secret("a")));
        session.open(Some(secret("sessionId=1")));
        session.use_token(Some(&secret("a")));
        assert!(session.is_open() && session.cookie().is_some());
        session.use_token(Some(&secret("b")));
        assert!(!session.is_open() && session.cookie().is_none());
        assert_eq!(session.token(), Some(&secret("b")));
    }

    #[test]
    fn a_response_without_a_cookie_keeps_the_existing_one() {
        let mut session = Session::default();
        session.open(Some(secret("sessionId=1")));
        session.update_cookie(None);
        assert_eq!(session.cookie(), Some(&secret("sessionId=1")));
        session.update_cookie(Some(secret("sessionId=2")));
        assert_eq!(session.cookie(), Some(&secret("sessionId=2")));
    }
}
