//! The reasons for contacting the cloud (L2). Nothing else is a reason (L3).

use super::attempt::Reason;
use super::clocks::{Clocks, has_passed};
use super::limits::Waiting;
use super::record::Record;
use super::situation::{Operator, Situation, TokenFacts};
use super::verdict::Verdict;
use crate::io::token::Token;

/// A condition that only a person can resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// There are no credentials.
    NoCredentials,
    /// The cloud has refused these credentials.
    WrongCredentials,
    /// The account requires a second factor.
    SecondFactor,
    /// The token was short-lived and has expired; such tokens are not renewed automatically (L8).
    ShortToken,
    /// A gateway without a token responds where another gateway is known. The device there chooses its serial number,
    /// and each new one would cost a login.
    Newcomer,
}

/// The next step for the tokens of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Do nothing: a token is good.
    Nothing,
    /// Wait for the gateway's verdict on a token that has expired by the clock alone.
    Gateway(Waiting),
    /// Contact the cloud.
    Cloud(Reason),
    /// Wait for a person.
    Person(Stopped),
}

/// Determines what the tokens of the gateway need.
pub(super) fn need(record: &Record, situation: &Situation<'_>) -> Need {
    if situation.operator != Operator::Absent {
        return if has_just_arrived(record, situation) {
            Need::Nothing
        } else {
            Need::Cloud(Reason::Operator)
        };
    }
    if situation.tokens.is_empty() && situation.is_newcomer {
        return Need::Person(Stopped::Newcomer);
    }
    let mut combined = Need::Cloud(Reason::NoToken);
    // One good token is enough. Otherwise the newest token decides, except that a short one (L8) does not prevent the
    // renewal of a long one.
    for (index, token) in situation.tokens.iter().rev().enumerate() {
        combined = match (need_of(token, record, situation), combined) {
            (Need::Nothing, _) => return Need::Nothing,
            (_, Need::Gateway(why)) if index > 0 => Need::Gateway(why),
            (Need::Person(_), Need::Cloud(reason)) if index > 0 => Need::Cloud(reason),
            (need, _) => need,
        };
    }
    combined
}

/// Returns `true` if a token arrived after the operator's request: it is the one that was requested (L5).
fn has_just_arrived(record: &Record, situation: &Situation<'_>) -> bool {
    !situation.tokens.is_empty()
        && record.token_arrived_within(situation.serial, situation.asked_ago, situation.clocks)
}

/// Determines what a stored token needs.
fn need_of(token: &TokenFacts, record: &Record, situation: &Situation<'_>) -> Need {
    let reason = match reason_of(token, record, situation) {
        Ok(None) => return Need::Nothing,
        Ok(Some(reason)) => reason,
        Err(why) => return Need::Gateway(why),
    };
    if token.is_long_lived || situation.renew_short_tokens {
        Need::Cloud(reason)
    } else {
        Need::Person(Stopped::ShortToken)
    }
}

/// Returns the reason to replace a stored token, if there is one.
///
/// Returns an error if the gateway has to be asked first.
fn reason_of(
    token: &TokenFacts,
    record: &Record,
    situation: &Situation<'_>,
) -> Result<Option<Reason>, Waiting> {
    let (serial, clocks) = (situation.serial, situation.clocks);
    let newest = record.newest_time().max(token.stored_at).max(token.issued_at);
    let passed = |deadline| has_passed(deadline, newest, clocks);
    // Our clock alone is no reason for a renewal: if it were ahead, a good token would be replaced every day. A gateway
    // that returns no time gets a new token when it refuses the old one.
    let has_second_clock = clocks.gateway.is_some() || !clocks.answers;
    let renewal = || token.is_long_lived && has_second_clock && passed(token.renewal_opens());
    let verdict = situation.verdict(&token.id);
    if verdict == Some(Verdict::Accepted) {
        return Ok(renewal().then_some(Reason::Renewal));
    }
    if passed(token.expires_at) {
        return match verdict {
            _ if !clocks.answers => Ok(Some(Reason::Expired)),
            None => Err(Waiting::GatewayNotAsked),
            Some(_) if clocks.gateway.is_some() => Ok(Some(Reason::Expired)),
            Some(_) if record.is_refused_when_expired(serial, &token.id) => Ok(Some(Reason::Expired)),
            Some(_) => Err(Waiting::GatewayUnsure),
        };
    }
    if record.is_refused(serial, &token.id) {
        return Ok(Some(Reason::Refused));
    }
    Ok(renewal().then_some(Reason::Renewal))
}

/// The meaning of a repeated clean 401 for a token (L2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The gateway refuses the token: its clock agrees with ours.
    Refusal,
    /// The token has expired: by our clock it has, and the gateway returns no time.
    Expiry,
    /// Nothing follows: the gateway's clock or ours is wrong.
    Nothing,
}

/// Determines the meaning of a clean 401 for `token`.
pub fn weight(token: &Token, record: &Record, clocks: &Clocks) -> Weight {
    let newest = record.newest_time().max(token.issued_at);
    let has_time = clocks.gateway.is_some();
    if clocks.clocks_agree() {
        Weight::Refusal
    } else if clocks.answers && !has_time && has_passed(token.expires_at, newest, clocks) {
        Weight::Expiry
    } else {
        Weight::Nothing
    }
}
