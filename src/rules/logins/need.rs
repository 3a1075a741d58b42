//! Why the cloud is needed, if it is (L2). Nothing else that can happen is a reason (L3).

use super::age::{Sight, has_passed};
use super::attempt::Reason;
use super::record::Record;
use super::situation::{Operator, Situation, TokenFacts};
use super::verdict::Verdict;
use super::wait::Waiting;
use crate::io::token::Token;

/// What only a person can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// There are no credentials.
    NoCredentials,
    /// The cloud has refused these credentials.
    WrongCredentials,
    /// The account wants a second factor.
    SecondFactor,
    /// The token was short-lived and is over; such are not renewed by themselves.
    ShortToken,
    /// A gateway without a token answers where another one is known. Serial numbers are free to whoever answers there,
    /// and each would cost a login.
    Newcomer,
}

/// What the tokens of a gateway need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: one of them is good.
    Nothing,
    /// The gateway's word about a token that has expired by the clock alone.
    Gateway(Waiting),
    /// The cloud.
    Cloud(Reason),
    /// A person.
    Person(Stopped),
}

/// What the tokens of the gateway need now.
pub(super) fn need(record: &Record, situation: &Situation<'_>) -> Need {
    if situation.operator != Operator::Absent {
        return if has_just_come(record, situation) { Need::Nothing } else { Need::Cloud(Reason::Operator) };
    }
    if situation.tokens.is_empty() && situation.is_newcomer {
        return Need::Person(Stopped::Newcomer);
    }
    let mut said = Need::Cloud(Reason::NoToken);
    // As long as one of them is good there is no reason. Else the newest says what it is, but for a short one
    // (L8), which does not keep a long one from its renewal.
    for (place, token) in situation.tokens.iter().rev().enumerate() {
        said = match (need_of(token, record, situation), said) {
            (Need::Nothing, _) => return Need::Nothing,
            (_, Need::Gateway(why)) if place > 0 => Need::Gateway(why),
            (Need::Person(_), Need::Cloud(reason)) if place > 0 => Need::Cloud(reason),
            (need, _) => need,
        };
    }
    said
}

/// Whether a token came from the cloud while the person who asked for one was waiting (L5): that is the one.
fn has_just_come(record: &Record, situation: &Situation<'_>) -> bool {
    !situation.tokens.is_empty()
        && record.token_came_within(situation.serial, situation.asked_ago, situation.sight)
}

/// What a stored token needs.
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

/// Why a stored token has to be replaced, if it has to. An error where the gateway has to be asked first.
fn reason_of(
    token: &TokenFacts,
    record: &Record,
    situation: &Situation<'_>,
) -> Result<Option<Reason>, Waiting> {
    let (serial, sight) = (situation.serial, situation.sight);
    let newest = record.newest_time().max(token.stored_at).max(token.issued_at);
    let passed = |deadline| has_passed(deadline, newest, sight);
    // Our clock alone is no reason for a renewal: ahead of the truth it would replace a good token once a day. A
    // gateway that tells no time gets its new token when it refuses the old one.
    let has_second_clock = sight.gateway.is_some() || !sight.answers;
    let renewal = || token.is_long_lived && has_second_clock && passed(token.renewal_opens());
    let verdict = situation.verdict(&token.id);
    if verdict == Some(Verdict::Accepted) {
        return Ok(renewal().then_some(Reason::Renewal));
    }
    if passed(token.expires_at) {
        return match verdict {
            _ if !sight.answers => Ok(Some(Reason::Expired)),
            None => Err(Waiting::GatewayNotAsked),
            Some(_) if sight.gateway.is_some() => Ok(Some(Reason::Expired)),
            Some(_) if record.is_refused_when_expired(serial, &token.id) => Ok(Some(Reason::Expired)),
            Some(_) => Err(Waiting::GatewayUnsure),
        };
    }
    if record.is_refused(serial, &token.id) {
        return Ok(Some(Reason::Refused));
    }
    Ok(renewal().then_some(Reason::Renewal))
}

/// What a clean 401 to a token proves, when it is repeated (L2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The gateway's clock agrees with ours: it refuses the token.
    Refusal,
    /// The gateway tells no time, and the token has expired by our clock: it has.
    Expiry,
    /// Nothing: the gateway's clock or ours is wrong.
    Nothing,
}

/// Weighs a clean 401 to `token`.
pub fn weight(token: &Token, record: &Record, sight: &Sight) -> Weight {
    let newest = record.newest_time().max(token.issued_at);
    let tells_time = sight.gateway.is_some();
    if sight.clocks_agree() {
        Weight::Refusal
    } else if sight.answers && !tells_time && has_passed(token.expires_at, newest, sight) {
        Weight::Expiry
    } else {
        Weight::Nothing
    }
}
