//! What a gateway says of a token, which outranks every clock (L2).

use std::collections::{BTreeMap, BTreeSet};

use super::record::Record;
use crate::base::reading::Serial;
use crate::io::token::TokenId;

/// How many tokens of a gateway are remembered: the one in use, its candidate, and one that has just replaced another.
const TOKENS: usize = 3;

/// What a gateway said of a token when it was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It accepts the token: whatever a clock shows, the token has not expired.
    Accepted,
    /// It refused the token with a clean 401.
    Refused,
    /// It was asked, and its response says nothing about the token.
    Unclear,
}

/// The newest verdicts of each gateway. They are kept for as long as the process lives: a new process asks again.
#[derive(Debug, Default)]
pub struct Verdicts {
    newest_last: BTreeMap<Serial, Vec<(TokenId, Verdict)>>,
    /// Tokens that were accepted, which the record does not know yet: it may hold refusals that are over.
    unwritten: BTreeSet<TokenId>,
}

impl Verdicts {
    /// Remembers what the gateway has just said of `token`.
    pub fn note(&mut self, serial: &Serial, token: &TokenId, verdict: Verdict) {
        let of_gateway = match self.newest_last.get_mut(serial) {
            Some(of_gateway) => of_gateway,
            None => self.newest_last.entry(serial.clone()).or_default(),
        };
        if let Some((newest, last)) = of_gateway.last_mut()
            && newest == token
        {
            *last = verdict;
            return;
        }
        of_gateway.retain(|(known, _)| known != token);
        of_gateway.push((token.clone(), verdict));
        let forgotten = of_gateway.len().saturating_sub(TOKENS);
        of_gateway.drain(..forgotten);
    }

    /// Remembers whether the record lacks an acceptance of `token`.
    pub fn note_unwritten(&mut self, token: &TokenId, is_unwritten: bool) {
        if is_unwritten {
            self.unwritten.insert(token.clone());
        } else {
            self.unwritten.remove(token);
        }
    }

    /// Takes the acceptances that `record` lacks into it; returns whether that changed it.
    pub fn complete(&self, serial: &Serial, record: &mut Record) -> bool {
        self.unwritten.iter().filter(|token| record.accepted(serial, token)).count() > 0
    }

    /// Whether the record of `serial` has refusals that are over.
    pub fn completes(&self, serial: &Serial, record: &Record) -> bool {
        self.unwritten.iter().any(|token| record.has_refusal(serial, token))
    }

    /// Whether the record lacks an acceptance of `token`.
    pub fn is_unwritten(&self, token: &TokenId) -> bool {
        self.unwritten.contains(token)
    }

    /// The verdicts of the gateway `serial`.
    pub fn of(&self, serial: &Serial) -> &[(TokenId, Verdict)] {
        self.newest_last.get(serial).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Moment;
    use crate::rules::logins::age::Sight;

    fn id(name: &str) -> TokenId {
        serde_json::from_str(&format!("\"{name}\"")).unwrap()
    }

    #[test]
    fn an_acceptance_that_is_not_on_disk_ends_the_refusals_that_are() {
        let serial = Serial::parse("122300000001").unwrap();
        let wall = "2026-11-20T10:00:00Z".parse().unwrap();
        let moment = Moment { wall, boot: "boot".to_owned(), up: Duration::from_secs(60) };
        let sight = Sight { moment, gateway: Some(wall), answers: true };
        let mut record = Record::new(&sight);
        for token in ["a", "b"] {
            record.refused(&serial, &id(token), &sight);
        }
        let mut verdicts = Verdicts::default();
        assert!(!verdicts.completes(&serial, &record));
        verdicts.note_unwritten(&id("a"), true);
        verdicts.note(&serial, &id("a"), Verdict::Unclear);
        assert!(verdicts.completes(&serial, &record) && verdicts.complete(&serial, &mut record));
        assert!(!record.has_refusal(&serial, &id("a")) && record.has_refusal(&serial, &id("b")));
        verdicts.note_unwritten(&id("a"), false);
        record.refused(&serial, &id("a"), &sight);
        assert!(!verdicts.complete(&serial, &mut record) && record.has_refusal(&serial, &id("a")));
    }

    #[test]
    fn the_newest_verdict_of_each_token_is_remembered_and_few_tokens_are() {
        let serial = Serial::parse("122300000001").unwrap();
        let mut verdicts = Verdicts::default();
        assert!(verdicts.of(&serial).is_empty());
        verdicts.note(&serial, &id("a"), Verdict::Accepted);
        verdicts.note(&serial, &id("b"), Verdict::Unclear);
        verdicts.note(&serial, &id("a"), Verdict::Refused);
        assert_eq!(verdicts.of(&serial), [(id("b"), Verdict::Unclear), (id("a"), Verdict::Refused)]);
        for name in ["c", "d", "e"] {
            verdicts.note(&serial, &id(name), Verdict::Refused);
        }
        assert_eq!(verdicts.of(&serial).len(), TOKENS);
        assert!(verdicts.of(&Serial::parse("1").unwrap()).is_empty());
    }
}
