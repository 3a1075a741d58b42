//! The token in use and the session that the gateway has opened for it.

use std::time::Duration;

use tokio::time::Instant;

use super::peer::Bound;

/// A gateway that neither accepts nor refuses a token is asked about it again after this, the length of a session.
const UNJUDGED: Duration = Duration::from_secs(10 * 60);
/// After a 401 in a session that has just been opened, further ones are about the page for so long.
const VOUCHED: Duration = Duration::from_secs(60);

/// The gateway's word on the token in use.
#[derive(Debug, Default)]
enum Judgement {
    /// None since the last 401.
    #[default]
    Wanted,
    /// The token is accepted.
    Accepted,
    /// The gateway neither accepted nor refused it at this moment, for this reason.
    None(Instant, String),
}

/// What a gateway has said of the token in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// It has accepted the token.
    pub accepted: bool,
    /// It has refused the token, and has not accepted it since.
    pub refused: bool,
}

/// What is shown to a gateway of firmware 7 and later: the token, and the cookie that spares it from checking
/// the token again. Some pages want both (firmware 7.0; `/ivp/meters/readings` on others).
#[derive(Debug, Default)]
pub(crate) struct Session {
    token: Option<Bound>,
    judgement: Judgement,
    cookie: Option<Bound>,
    /// When a page answered 401 in a session that had just been opened.
    vouched_at: Option<Instant>,
    /// The log says that the token is used without the gateway's judgement.
    warned: bool,
}

impl Session {
    /// Takes another token; the session of the one before is not its own.
    pub(crate) fn use_token(&mut self, token: Option<&Bound>) {
        if self.token.as_ref() != token {
            self.token = token.cloned();
            self.vouched_at = None;
            self.close();
        }
    }

    pub(crate) fn token(&self) -> Option<&Bound> {
        self.token.as_ref()
    }

    pub(crate) fn cookie(&self) -> Option<&Bound> {
        self.cookie.as_ref()
    }

    /// Whether pages can be asked without asking about the token first.
    pub(crate) fn is_open(&self) -> bool {
        match &self.judgement {
            Judgement::Wanted => false,
            Judgement::Accepted => true,
            Judgement::None(at, _) => at.elapsed() < UNJUDGED,
        }
    }

    /// Records that the gateway accepts the token; returns whether the log should say so. A gateway that gives no
    /// cookie is not asked again for each page.
    pub(crate) fn open(&mut self, cookie: Option<Bound>) -> bool {
        self.judgement = Judgement::Accepted;
        self.adopt(cookie);
        std::mem::take(&mut self.warned)
    }

    /// Records that the gateway neither accepts nor refuses the token, because of `why`: pages are asked with it.
    pub(crate) fn leave_unjudged(&mut self, why: String) {
        self.judgement = Judgement::None(Instant::now(), why);
    }

    /// A page was read without a judgement: returns the reason if the log does not have it yet.
    pub(crate) fn read_unjudged(&mut self) -> Option<&str> {
        let Judgement::None(_, why) = &self.judgement else { return None };
        let news = !self.warned;
        self.warned = true;
        news.then_some(why.as_str())
    }

    /// Records a 401 in a session that has just been opened: it is about the page, and so are those that follow.
    pub(crate) fn vouch(&mut self) {
        self.vouched_at = Some(Instant::now());
    }

    /// Whether a 401 is about the page and not about the session.
    pub(crate) fn is_vouched_for(&self) -> bool {
        self.vouched_at.is_some_and(|at| at.elapsed() < VOUCHED)
    }

    /// A new cookie, which may come with any answer, replaces the one before.
    pub(crate) fn adopt(&mut self, cookie: Option<Bound>) {
        self.cookie = cookie.or_else(|| self.cookie.take());
    }

    /// The gateway knows the session no more (10 minutes without use, a restart); the token stays.
    pub(crate) fn close(&mut self) {
        self.judgement = Judgement::Wanted;
        self.cookie = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secrets::Secret;
    use crate::io::gateway::peer::{Peer, Proof};

    fn secret(text: &str) -> Bound {
        let peer = Peer { serial: "122300000001".parse().unwrap(), proof: Proof::Unproven };
        Bound::new(Secret::new(text.to_owned()), &peer)
    }

    #[test]
    fn another_token_drops_the_session_and_the_same_keeps_it() {
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
    fn an_answer_without_a_cookie_leaves_the_one_there_is() {
        let mut session = Session::default();
        session.open(Some(secret("sessionId=1")));
        session.adopt(None);
        assert_eq!(session.cookie(), Some(&secret("sessionId=1")));
        session.adopt(Some(secret("sessionId=2")));
        assert_eq!(session.cookie(), Some(&secret("sessionId=2")));
    }
}
