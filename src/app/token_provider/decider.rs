//! Decides what to do about the token of a gateway, from its record, its stored tokens, and the account.

use std::time::Duration;

use super::account::LoginAccount;
use super::error::Error;
use super::known_gateways::KnownGateways;
use crate::base::reading::Serial;
use crate::base::secrets::Credentials;
use crate::rules::logins::clocks::Clocks;
use crate::rules::logins::decision::{Decision, decide};
use crate::rules::logins::record::Record;
use crate::rules::logins::situation::{self, Operator, Situation, TokenFacts};
use crate::rules::logins::verdict::Verdicts;

/// The input of a decision.
pub(super) struct Question<'a> {
    pub(super) serial: &'a Serial,
    pub(super) clocks: &'a Clocks,
    pub(super) operator: Operator,
    /// The uptime when the operator made the request.
    pub(super) asked: Duration,
}

/// Makes the decisions. Contains what they depend on besides the record, the tokens and the verdicts.
#[derive(Debug)]
pub(super) struct Decider {
    pub(super) account: LoginAccount,
    pub(super) known_gateways: KnownGateways,
    /// `true` to renew short-lived tokens too (L8).
    pub(super) renew_short_tokens: bool,
}

impl Decider {
    /// Returns the decision, and the credentials that it requires.
    pub(super) async fn decide(
        &mut self,
        record: &Record,
        facts: &[TokenFacts],
        verdicts: &Verdicts,
        question: &Question<'_>,
    ) -> Result<(Decision, Option<Credentials>), Error> {
        let Question { serial, clocks, operator, asked } = *question;
        let is_newcomer = facts.is_empty() && self.known_gateways.is_newcomer(serial, record).await?;
        let mut situation = Situation {
            serial,
            username: "",
            tokens: facts,
            clocks,
            operator,
            asked_ago: clocks.moment.up.saturating_sub(asked),
            verdicts: verdicts.of(serial),
            is_newcomer,
            account: situation::Account::Ready,
            renew_short_tokens: self.renew_short_tokens,
        };
        if decide(record, &situation) == Decision::Rest {
            return Ok((Decision::Rest, None));
        }
        let credentials = self.account.credentials()?;
        let username = self.account.username();
        situation.username = &username;
        situation.account = match &credentials {
            None => situation::Account::Missing,
            Some(credentials) => self
                .account
                .refusal(record, credentials)
                .map_or(situation::Account::Ready, situation::Account::Refused),
        };
        Ok((decide(record, &situation), credentials))
    }
}
