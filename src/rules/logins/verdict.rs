//! The verdicts of gateways on their tokens, which outrank every clock (L2).

use std::collections::{BTreeMap, BTreeSet};

use super::record::Record;
use crate::base::reading::Serial;
use crate::io::token::TokenId;

/// The maximum number of verdicts kept for each gateway: the token in use, its candidate, and a just replaced one.
const TOKENS: usize = 3;

/// The latest response of a gateway to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The gateway accepts the token, so the token has not expired, whatever a clock shows.
    Accepted,
    /// The gateway refused the token with a clean 401.
    Refused,
    /// The gateway's response neither accepts nor refuses the token.
    Unclear,
}

/// The latest verdicts of each gateway. They are kept in memory only; a new process asks the gateways again.
#[derive(Debug, Default)]
pub struct Verdicts {
    newest_last: BTreeMap<Serial, Vec<(TokenId, Verdict)>>,
    /// Accepted tokens whose acceptance is not in the record yet; the record may contain outdated refusals of them.
    unwritten: BTreeSet<TokenId>,
}

impl Verdicts {
    /// Stores the gateway's verdict on `token`.
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

    /// Marks or unmarks the acceptance of `token` as missing in the record.
    pub fn note_unwritten(&mut self, token: &TokenId, is_unwritten: bool) {
        if is_unwritten {
            self.unwritten.insert(token.clone());
        } else {
            self.unwritten.remove(token);
        }
    }

    /// Adds the missing acceptances to `record`. Returns `true` if the record changed.
    pub fn complete(&self, serial: &Serial, record: &mut Record) -> bool {
        self.unwritten.iter().filter(|token| record.accepted(serial, token)).count() > 0
    }

    /// Returns `true` if `record` contains outdated refusals of tokens of `serial`.
    pub fn completes(&self, serial: &Serial, record: &Record) -> bool {
        self.unwritten.iter().any(|token| record.has_refusal(serial, token))
    }

    /// Returns `true` if the acceptance of `token` is missing in the record.
    pub fn is_unwritten(&self, token: &TokenId) -> bool {
        self.unwritten.contains(token)
    }

    /// Returns the verdicts of the gateway `serial`, oldest first.
    pub fn of(&self, serial: &Serial) -> &[(TokenId, Verdict)] {
        self.newest_last.get(serial).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Moment;
    use crate::rules::logins::clocks::Clocks;

    fn id(name: &str) -> TokenId {
        serde_json::from_str(&format!("\"{name}\"")).unwrap()
    }

    #[test]
    fn an_acceptance_that_is_not_on_disk_ends_the_refusals_that_are() {
        let serial = Serial::parse("122300000001").unwrap();
        let wall = "2026-11-20T10:00:00Z".parse().unwrap();
        let moment = Moment { wall, boot: "boot".to_owned(), up: Duration::from_secs(60) };
        let clocks = Clocks { moment, gateway: Some(wall), answers: true };
        let mut record = Record::new(&clocks);
        for token in ["a", "b"] {
            record.refused(&serial, &id(token), &clocks);
        }
        let mut verdicts = Verdicts::default();
        assert!(!verdicts.completes(&serial, &record));
        verdicts.note_unwritten(&id("a"), true);
        verdicts.note(&serial, &id("a"), Verdict::Unclear);
        assert!(verdicts.completes(&serial, &record) && verdicts.complete(&serial, &mut record));
        assert!(!record.has_refusal(&serial, &id("a")) && record.has_refusal(&serial, &id("b")));
        verdicts.note_unwritten(&id("a"), false);
        record.refused(&serial, &id("a"), &clocks);
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
