//! The login promise as checks of the true history.
//!
//! The checks assume:
//!
//! - One of the two clocks is correct to five minutes, or both are ([`WrongClock`]). If both are wrong, only the
//!   promises that do not depend on time are checked.
//! - The hold-offs and refusals in a damaged record are lost. The damage counts as a login made when it is noticed,
//!   so there is still at most one login a day.
//! - A login whose response was lost may have opened a session. It is retried after 5 minutes, doubling, as L6 says of
//!   transient failures, but at most three in 24 hours may have opened a session.
//! - The clocks of two gateways may differ by ten minutes. After a boot, the record may mistake one for the other.
//! - A success ends the earlier hold-offs.
//! - If a person removes the record or the token files while no process has them in memory, their content is lost.
//! - An acceptance that could not be written is known only to its process, until that ends.
//! - A gateway that refuses a good token twice, five minutes apart, has refused it.

use std::time::Duration;

use super::process::{Attempt, Goal};
use super::truth::{ROUNDING, Request, Truth, since};
use super::world::{DAY, HOUR, MINUTE, SERIALS, World, WrongClock};
use crate::io::token::store::{StoredToken, Tokens};
use crate::rules::logins::attempt::Step;
use crate::rules::logins::clocks::{AGREEMENT, Age, Clocks};
use crate::rules::logins::decision::{Decision, Waiting};
use crate::rules::logins::record::Record;
use crate::rules::logins::situation::{Operator, TokenFacts};
use crate::rules::logins::verdict::Verdict;

/// A change of the stored tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenEvent {
    Nothing,
    Arrived,
    Accepted,
    Dropped,
    Forgotten,
    /// A person has removed or replaced the files.
    Removed,
    /// The files were written again from memory.
    Restored,
    /// The disk was not writable.
    Unwritten,
}

/// Checks that a request is on disk before it is sent.
pub(super) fn no_request_without_a_record(step: Step, on_disk: Option<&Record>) {
    let last = on_disk.and_then(|record| record.attempts.last());
    let written = last.is_some_and(|last| last.step == step && last.outcome.is_none());
    assert!(written, "a request leaves and is not on disk: {last:?}");
}

/// Checks that a stopped process leaves no request without an outcome.
pub(super) fn no_request_is_cut_off_by_a_stop(on_disk: Option<&Record>) {
    let last = on_disk.and_then(|record| record.attempts.last());
    assert!(last.is_some_and(|last| last.outcome.is_some()), "a stop cut off {last:?}");
}

/// Checks every promise for a request; `tokens` are those known to its process.
pub(super) fn judge(
    truth: &mut Truth,
    which: usize,
    attempt: &Attempt,
    tokens: &Tokens,
    renews_short: bool,
    world: &World,
) {
    let Attempt { goal, step, credentials, .. } = attempt;
    match goal.operator {
        Operator::Absent => {
            by_itself(truth, which, goal, *step, *credentials, tokens, renews_short, world);
        }
        Operator::Asks | Operator::Insists => by_a_person(truth, goal, *step, tokens, world),
    }
}

#[expect(clippy::too_many_arguments, reason = "the checks need all of them")]
fn by_itself(
    truth: &mut Truth,
    which: usize,
    goal: &Goal,
    step: Step,
    credentials: u8,
    tokens: &Tokens,
    renews_short: bool,
    world: &World,
) {
    truth.coverage.logins += u64::from(step == Step::Login);
    truth.coverage.other_endpoint += u64::from(step == Step::OtherToken);
    // The last request is the current one.
    let before = truth.requests.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default();
    no_request_with_refused_credentials(truth, step, credentials);
    assert_ne!(step, Step::Code, "only a person types a code");
    the_other_endpoint_is_used_only_after_an_unknown_response(step, &before);
    no_short_token_is_renewed_by_itself(renews_short, tokens);
    no_second_serial_number_at_a_place(truth, goal, tokens, world);
    no_request_while_a_token_is_accepted(truth, which, tokens, world);
    if truth.knows_time() {
        no_request_while_a_token_is_good(truth, which, tokens, world);
    }
    within_the_ceilings(truth, step, &before, world);
}

/// Checks that no request is made while its process knows that a token is accepted, except for a renewal.
fn no_request_while_a_token_is_accepted(truth: &Truth, which: usize, tokens: &Tokens, world: &World) {
    for kept in stored(tokens) {
        let facts = TokenFacts::new(&kept.token, kept.stored_at);
        let is_due = facts.is_long_lived && world.now + 5 * MINUTE >= facts.renewal_opens();
        let verdict = truth.last_verdicts.get(&(which, facts.id.clone()));
        let accepted = verdict == Some(&Verdict::Accepted) && (truth.knows_time() || !facts.is_long_lived);
        assert!(is_due || !accepted, "a request while a token is accepted: {facts:?}");
    }
}

/// Checks the same for an accepted token whose file was replaced by one with a useless token.
pub(super) fn no_request_while_another_is_accepted(
    truth: &Truth,
    which: usize,
    attempt: &Attempt,
    before: &StoredToken,
    world: &World,
) {
    if attempt.goal.operator == Operator::Absent {
        let known = Tokens { current: Some(before.clone()), candidate: None };
        no_request_while_a_token_is_accepted(truth, which, &known, world);
    }
}

/// Checks a request on behalf of the operator: no token may have arrived while the operator waited (L5).
fn by_a_person(truth: &mut Truth, goal: &Goal, step: Step, tokens: &Tokens, world: &World) {
    truth.coverage.requested += 1;
    let before = truth.requests.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default();
    let Some(asked) = goal.asked else { return };
    let arrived = truth.arrived_at[goal.number].is_some_and(|at| at > asked);
    assert!(!arrived || *tokens == Tokens::default(), "a token arrived meanwhile: {:?}", truth.arrived_at);
    let is_news = |request: &Request| request.opens() && request.at > asked;
    if goal.operator == Operator::Asks || step == Step::Login && before.iter().any(is_news) {
        within_the_ceilings(truth, step, &before, world);
    }
}

fn within_the_ceilings(truth: &Truth, step: Step, before: &[Request], world: &World) {
    if !truth.knows_time() {
        return;
    }
    no_request_within_a_hold_off(truth, world);
    if step == Step::Login {
        one_login_a_day(truth, before, world);
        three_logins_a_month(truth, before, world);
        three_sessions_a_day(truth, before, world);
    }
}

/// Checks that no automatic request is made for a new serial number in the place of a known one.
fn no_second_serial_number_at_a_place(truth: &mut Truth, goal: &Goal, tokens: &Tokens, world: &World) {
    let is_known = |number: usize| truth.began_for[number] > 0 || world.disk.tokens[number].is_some();
    // The current request is counted already.
    if truth.began_for[goal.number] > 1 || *tokens != Tokens::default() {
        return;
    }
    let here = |number: &usize| world.by_mdns || truth.last_seen[*number] == Some(goal.gateway);
    let others: Vec<usize> =
        (0..SERIALS).filter(|number| *number != goal.number && is_known(*number)).collect();
    truth.coverage.newcomers += u64::from(!others.is_empty());
    let known = others.iter().find(|number| here(number));
    assert!(known.is_none(), "a login for {} where {known:?} is known", goal.number);
}

/// Checks that the other token endpoint is used only directly after an unknown response from the first.
fn the_other_endpoint_is_used_only_after_an_unknown_response(step: Step, before: &[Request]) {
    let is_next = before.last().is_some_and(Request::leads_to_other_endpoint);
    assert!(step != Step::OtherToken || is_next, "the other endpoint after {:?}", before.last());
}

/// Checks that at most three logins in 24 hours may have opened a session.
fn three_sessions_a_day(truth: &Truth, before: &[Request], world: &World) {
    let day = DAY.saturating_sub(truth.slack);
    let recent = |request: &&Request| request.may_have_opened_session() && since(request.at, world.now) < day;
    let logins: Vec<&Request> = before.iter().filter(recent).collect();
    assert!(logins.len() < 3, "a fourth session in a day, perhaps: {logins:?}");
}

/// Checks that refused credentials, or ones that need a second factor, are not used again automatically.
fn no_request_with_refused_credentials(truth: &Truth, step: Step, credentials: u8) {
    let refused = truth.refused.iter().find(|(refused, _)| *refused == credentials);
    assert!(step != Step::Login || refused.is_none(), "a login with {refused:?}");
}

/// Checks that short tokens are not renewed automatically unless configured (L8).
fn no_short_token_is_renewed_by_itself(renews_short: bool, tokens: &Tokens) {
    let mut stored = stored(tokens).peekable();
    let short = stored.peek().is_some() && stored.all(|kept| !kept.token.is_long_lived());
    assert!(renews_short || !short, "a short token is renewed");
}

/// Checks that no request is made while a stored token is good.
///
/// A token is good if it has not expired, is outside its renewal window, and was not refused twice, at least five
/// minutes apart, while the clocks agreed. The clock may be wrong by five minutes.
fn no_request_while_a_token_is_good(truth: &Truth, which: usize, tokens: &Tokens, world: &World) {
    let soon = world.now + 5 * MINUTE;
    for kept in stored(tokens) {
        let facts = TokenFacts::new(&kept.token, kept.stored_at);
        let over = soon >= facts.expires_at || facts.is_long_lived && soon >= facts.renewal_opens();
        let accepted = truth.unwritten.iter().rfind(|(whose, id, _)| *whose == which && *id == facts.id);
        let refusals = truth.refusals.get(&facts.id).map(Vec::as_slice).unwrap_or_default();
        let mut refusals = refusals.iter().filter(|at| accepted.is_none_or(|(_, _, then)| *at > then));
        let refused = refusals
            .next()
            .zip(refusals.next_back())
            .is_some_and(|(first, last)| since(*first, *last) + truth.slack >= 5 * MINUTE);
        assert!(over || refused, "a request while a token is good: {facts:?}");
    }
}

/// Checks that no request is made during a hold-off.
fn no_request_within_a_hold_off(truth: &Truth, world: &World) {
    let left = since(world.now, truth.hold_until);
    assert!(left <= truth.slack, "a request {left:?} too early");
}

/// Checks that at most one login in 24 hours succeeds or is interrupted.
fn one_login_a_day(truth: &Truth, before: &[Request], world: &World) {
    let last = before.iter().rev().find(|request| request.counts_as_login());
    let early = last.map(|last| DAY.saturating_sub(since(last.at, world.now)));
    assert!(early.unwrap_or_default() <= truth.slack, "two logins in a day: {last:?}");
}

/// Checks that at most three logins in 30 days succeed or are interrupted.
fn three_logins_a_month(truth: &Truth, before: &[Request], world: &World) {
    let month = (30 * DAY).saturating_sub(truth.slack);
    let recent = |request: &&Request| {
        let known = request.at >= truth.damaged;
        known && request.counts_as_login() && since(request.at, world.now) < month
    };
    let logins: Vec<&Request> = before.iter().filter(recent).collect();
    assert!(logins.len() < 3, "a fourth login in a month: {logins:?}");
}

/// Checks that jumps of the clock do not change the record's age.
///
/// The age is never ahead of the truth, so that no hold-off ends early. It falls behind only at a boot, so that no
/// hold-off is extended while the machine runs. If correct clocks were seen before and after the boot (`certain`),
/// it does not fall behind at all.
pub(super) fn no_jump_of_a_clock_counts(
    truth: &mut Truth,
    record: &Record,
    seen: &Clocks,
    certain: bool,
    world: &World,
) {
    if record.attempts.is_empty() || !truth.knows_time() {
        return;
    }
    let true_age = since(truth.born, world.now);
    let age = record.age(seen).since(Age::default());
    assert!(age <= true_age + truth.slack, "the record is {age:?} old, in truth {true_age:?}");
    let behind = true_age.saturating_sub(age);
    if certain {
        // If two clocks nearly agree, the slower is trusted.
        let slower =
            if truth.wrong_clock == WrongClock::Neither { world.gateways_differ_by() } else { AGREEMENT };
        let lost = ROUNDING + slower;
        assert!(behind <= truth.behind + lost, "{behind:?} behind, before {:?}", truth.behind);
    }
    truth.behind = behind;
}

/// Checks that no wait is longer than its rule says, plus the amount that the record's age is behind.
pub(super) fn no_wait_outlives_its_length(truth: &mut Truth, decision: &Decision, world: &World) {
    let Decision::Wait { left: Some(left), why, .. } = decision else { return };
    if !truth.knows_time() {
        return;
    }
    truth.coverage.waits += 1;
    truth.coverage.unclear += u64::from(*why == Waiting::ThriceUnclear);
    let counted = |nth: usize, length: Duration| {
        let mut logins = truth.requests.iter().rev().filter(|request| request.counts_as_login());
        logins.nth(nth).map(|login| login.at + length)
    };
    let latest_login = truth.requests.iter().rev().find(|request| request.opens());
    let mut unclear = truth.requests.iter().rev().filter(|request| request.may_have_opened_session());
    let until = match why {
        Waiting::GatewaySilent | Waiting::GatewayNotAsked | Waiting::GatewayUnsure => None,
        Waiting::HoldOff(_) => {
            let length = since(truth.requests.last().map_or(world.now, |last| last.at), truth.hold_until);
            Some(truth.hold_until + length.mul_f64(0.1))
        }
        Waiting::Interrupted => {
            let last = truth.requests.last().map(|last| last.at + 5 * MINUTE);
            last.max(counted(0, DAY))
        }
        Waiting::OnceADay => latest_login.map(|login| login.at + DAY),
        Waiting::ThriceAMonth => counted(2, 30 * DAY),
        Waiting::ThriceUnclear => unclear.nth(2).map(|login| login.at + DAY),
    };
    let Some(until) = until else { panic!("waits for {why:?} without a reason") };
    let longest = since(world.now, until) + truth.behind + HOUR;
    assert!(*left <= longest, "waits {left:?} for {why:?}, and {longest:?} is the most");
}

/// Checks that no stored token is lost without a good reason.
///
/// The reasons are: the operator forgets it or removes its files, the gateway has accepted another in its place, it
/// was refused twice and there is a good one, or a newer one arrives before the gateway has seen it.
pub(super) fn no_token_is_lost(before: Option<&Tokens>, after: Option<&Tokens>, event: TokenEvent) {
    // Missing files are written again from memory.
    let Some(before) = before else { return };
    let Some(after) = after else {
        assert!(
            matches!(event, TokenEvent::Removed | TokenEvent::Forgotten),
            "the files are gone: {event:?}"
        );
        return;
    };
    let id = |kept: &Option<StoredToken>| kept.as_ref().map(|kept| kept.token.id());
    let (was, is) = (id(&before.current), id(&after.current));
    let accepted = event == TokenEvent::Accepted && is == id(&before.candidate);
    let by_a_person = matches!(event, TokenEvent::Forgotten | TokenEvent::Removed);
    let is_back = event == TokenEvent::Restored;
    assert!(was == is || accepted || by_a_person || is_back, "the token in use: {event:?}");
    let (was, is) = (id(&before.candidate), id(&after.candidate));
    assert!(was == is || event != TokenEvent::Nothing, "the candidate");
    assert!(is.is_some() || event != TokenEvent::Arrived || id(&after.current).is_some());
}

fn stored(tokens: &Tokens) -> impl Iterator<Item = &StoredToken> {
    tokens.candidate.iter().chain(&tokens.current)
}
