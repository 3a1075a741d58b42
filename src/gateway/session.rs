//! The token in use and the session that the gateway has opened for it.

use crate::secrets::Secret;

/// What is shown to a gateway of firmware 7 and later: the token, and the cookie that spares it from checking
/// the token again. Some pages want both (firmware 7.0; `/ivp/meters/readings` on others).
#[derive(Debug, Default)]
pub(crate) struct Session {
    token: Option<Secret>,
    open: bool,
    cookie: Option<Secret>,
}

impl Session {
    /// Takes another token; the session of the one before is not its own.
    pub(crate) fn use_token(&mut self, token: Option<&Secret>) {
        if self.token.as_ref() != token {
            self.token = token.cloned();
            self.close();
        }
    }

    pub(crate) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    pub(crate) fn cookie(&self) -> Option<&Secret> {
        self.cookie.as_ref()
    }

    /// Whether the gateway has accepted the token since the last 401.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// The gateway has accepted the token. One that gives no cookie is not asked again for each page.
    pub(crate) fn open(&mut self, cookie: Option<Secret>) {
        self.open = true;
        self.adopt(cookie);
    }

    /// A new cookie, which may come with any answer, replaces the one before.
    pub(crate) fn adopt(&mut self, cookie: Option<Secret>) {
        self.cookie = cookie.or_else(|| self.cookie.take());
    }

    /// The gateway knows the session no more (10 minutes without use, a restart); the token stays.
    pub(crate) fn close(&mut self) {
        self.open = false;
        self.cookie = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
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
