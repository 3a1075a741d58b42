//! Decides whether the cloud may be contacted now (L2, L3, L6, L8).

use std::time::Duration;

use super::attempt::{Attempt, Reason, Step};
use super::clocks::Age;
pub use super::limits::Waiting;
use super::limits::longest_wait;
pub use super::need::Stopped;
use super::need::{Need, need};
use super::record::Record;
use super::second_factor;
use super::situation::{Account, Operator, Situation};
use crate::io::cloud::Kind;

/// The action to take for the token of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Do nothing: the token is good.
    Rest,
    /// Contact the cloud.
    Act {
        /// The request to send.
        step: Step,
        /// The reason for the request.
        reason: Reason,
    },
    /// Contact the cloud later.
    Wait {
        /// The reason for the request.
        reason: Reason,
        /// The remaining time; `None` if the wait does not depend on time.
        left: Option<Duration>,
        /// The cause of the wait.
        why: Waiting,
    },
    /// Do not contact the cloud until a person has acted.
    Stop(Stopped),
}

/// Decides whether the cloud may be contacted now.
pub fn decide(record: &Record, situation: &Situation<'_>) -> Decision {
    let reason = match need(record, situation) {
        Need::Nothing => return Decision::Rest,
        Need::Gateway(why) => return Decision::Wait { reason: Reason::Expired, left: None, why },
        Need::Person(stopped) => return Decision::Stop(stopped),
        Need::Cloud(reason) => reason,
    };
    let now = record.age(situation.clocks);
    let step = next_step(record, situation.username, now);
    if let Some(stopped) = stopped(situation, step) {
        return Decision::Stop(stopped);
    }
    // `--force` overrides only the hold-offs that the operator knew: not that of a login that another process has sent
    // since (L5).
    let has_changed =
        step == Step::Login && record.login_was_sent_within(situation.asked_ago, situation.clocks);
    if situation.operator == Operator::Insists && !has_changed {
        return Decision::Act { step, reason };
    }
    if situation.operator != Operator::Absent
        && has_changed
        && second_factor::left(record, Step::Code).is_some()
    {
        // A code for that login is being typed at another terminal; another login would invalidate it.
        return Decision::Stop(Stopped::SecondFactor);
    }
    if situation.operator == Operator::Absent && !situation.clocks.answers {
        return Decision::Wait { reason, left: None, why: Waiting::GatewaySilent };
    }
    match longest_wait(record, step, reason, now) {
        Some((left, why)) => Decision::Wait { reason, left: Some(left), why },
        None => Decision::Act { step, reason },
    }
}

/// Returns the next request for this account (L7).
fn next_step(record: &Record, username: &str, now: Age) -> Step {
    let use_other = record.attempts.last().is_some_and(Attempt::leads_to_other_endpoint);
    match record.open_session(username, now) {
        None => Step::Login,
        // Also if that attempt was for another gateway: one service issues the tokens of all.
        Some(_) if use_other => Step::OtherToken,
        Some(_) => Step::Token,
    }
}

/// Returns the condition that a person has to resolve before `step`, if there is one.
fn stopped(situation: &Situation<'_>, step: Step) -> Option<Stopped> {
    match situation.account {
        // A token can still be fetched on an open session.
        Account::Missing if step == Step::Login => Some(Stopped::NoCredentials),
        Account::Refused(kind) if step == Step::Login => match kind {
            // The operator can enter the code, or has disabled the second factor.
            Kind::SecondFactor if situation.operator != Operator::Absent => None,
            Kind::SecondFactor => Some(Stopped::SecondFactor),
            _ if situation.operator == Operator::Insists => None,
            _ => Some(Stopped::WrongCredentials),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use jiff::{SignedDuration, Timestamp};

    use super::super::clocks::Clocks;
    use super::super::situation::TokenFacts;
    use super::super::verdict::Verdict;
    use super::*;
    use crate::base::clock::Moment;
    use crate::base::reading::Serial;
    use crate::base::secrets::Secret;
    use crate::io::cloud::Failure;
    use crate::io::token::TokenId;
    use crate::rules::logins::hold_off::{DAY, MONTH, SHORTEST_HOLD_OFF};

    const HOUR: Duration = Duration::from_secs(3600);

    fn token(id: &str, issued_at: Timestamp, lifetime: Duration) -> TokenFacts {
        TokenFacts {
            id: serde_json::from_str(&format!("\"{id}\"")).unwrap(),
            issued_at,
            expires_at: issued_at + lifetime,
            is_long_lived: lifetime >= crate::io::token::LONG_LIVED,
            stored_at: issued_at,
        }
    }

    /// An account with a record and clocks that the test controls.
    struct TestAccount {
        record: Record,
        serial: Serial,
        clocks: Clocks,
        tokens: Vec<TokenFacts>,
        operator: Operator,
        asked_ago: Duration,
        verdicts: Vec<(TokenId, Verdict)>,
        is_newcomer: bool,
        account: Account,
        renew_short_tokens: bool,
        rng: Rng,
    }

    impl TestAccount {
        fn new() -> Self {
            let wall: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
            let moment = Moment { wall, boot: "boot".to_owned(), up: HOUR };
            let clocks = Clocks { moment, gateway: Some(wall), answers: true };
            Self {
                record: Record::new(&clocks),
                serial: Serial::parse("122300000001").unwrap(),
                clocks,
                tokens: Vec::new(),
                operator: Operator::Absent,
                asked_ago: Duration::ZERO,
                verdicts: Vec::new(),
                is_newcomer: false,
                account: Account::Ready,
                renew_short_tokens: false,
                rng: Rng::with_seed(1),
            }
        }

        fn with_token(lifetime: Duration) -> Self {
            let mut account = Self::new();
            let now = account.clocks.moment.wall;
            account.tokens.push(token("token", now, lifetime));
            account
        }

        fn later(&mut self, length: Duration) -> &mut Self {
            self.clocks.moment.wall += length;
            self.clocks.moment.up += length;
            self.clocks.gateway = self.clocks.gateway.map(|time| time + length);
            self
        }

        fn decide(&self) -> Decision {
            decide(
                &self.record,
                &Situation {
                    serial: &self.serial,
                    username: "owner@example.com",
                    tokens: &self.tokens,
                    clocks: &self.clocks,
                    operator: self.operator,
                    asked_ago: self.asked_ago,
                    verdicts: &self.verdicts,
                    is_newcomer: self.is_newcomer,
                    account: self.account,
                    renew_short_tokens: self.renew_short_tokens,
                },
            )
        }

        /// Makes the attempt that is decided, and records a failure.
        fn fail(&mut self, kind: Kind) -> &mut Self {
            let Decision::Act { step, reason } = self.decide() else { panic!("{:?}", self.decide()) };
            self.record.begin(step, reason, &self.serial, &self.clocks);
            let failure = Failure { kind, retry_after: None, why: "because".to_owned() };
            self.record.failed(&failure, "hash", &self.clocks, &mut self.rng);
            self
        }

        /// Makes the login that is decided, and records a success.
        fn log_in(&mut self) -> &mut Self {
            let Decision::Act { step, reason } = self.decide() else { panic!("{:?}", self.decide()) };
            assert_eq!(step, Step::Login);
            self.record.begin(step, reason, &self.serial, &self.clocks);
            let id = Secret::new("session".to_owned());
            self.record.logged_in(id, "owner@example.com", &self.clocks);
            self
        }

        /// Fetches the token on the session.
        fn fetch(&mut self) -> &mut Self {
            self.record.begin(Step::Token, Reason::NoToken, &self.serial, &self.clocks);
            self.record.token_came(&self.serial, false, &self.clocks);
            self
        }

        /// Sets the gateway's verdict on every stored token.
        fn with_verdict(&mut self, verdict: Verdict) -> &mut Self {
            self.verdicts = self.tokens.iter().map(|token| (token.id.clone(), verdict)).collect();
            self
        }

        /// Removes the gateway's clock.
        fn without_time(&mut self) -> &mut Self {
            self.clocks.gateway = None;
            self
        }

        fn refuse(&mut self) -> &mut Self {
            let id = self.tokens[0].id.clone();
            self.record.refused(&self.serial, &id, &self.clocks);
            self.with_verdict(Verdict::Refused)
        }

        fn awaits(&self, why: Waiting) -> bool {
            self.decide() == Decision::Wait { reason: Reason::Expired, left: None, why }
        }

        fn acts(&self) -> bool {
            matches!(self.decide(), Decision::Act { .. })
        }

        fn waits(&self) -> (Duration, Waiting) {
            match self.decide() {
                Decision::Wait { left: Some(left), why, .. } => (left, why),
                other => panic!("{other:?}"),
            }
        }
    }

    fn because(reason: Reason) -> Decision {
        Decision::Act { step: Step::Login, reason }
    }

    const YEAR: Duration = Duration::from_secs(365 * 86_400);

    #[test]
    fn without_a_token_there_is_one_login() {
        assert_eq!(TestAccount::new().decide(), because(Reason::NoToken));
    }

    #[test]
    fn a_good_token_rests_until_its_renewal_opens() {
        let mut account = TestAccount::with_token(YEAR);
        assert_eq!(account.decide(), Decision::Rest);
        account.later(334 * DAY + 23 * HOUR);
        assert_eq!(account.decide(), Decision::Rest);
        account.later(DAY + HOUR);
        assert_eq!(account.decide(), because(Reason::Renewal));
    }

    #[test]
    fn a_renewal_is_tried_once_a_day() {
        let mut account = TestAccount::with_token(YEAR);
        account.later(336 * DAY).fail(Kind::Transient).later(HOUR);
        assert_eq!(account.waits(), (23 * HOUR, Waiting::OnceADay));
        assert!(account.later(23 * HOUR).acts());
    }

    #[test]
    fn an_expired_token_is_replaced_and_a_short_one_is_not() {
        let mut long = TestAccount::with_token(YEAR);
        long.later(YEAR);
        assert!(long.awaits(Waiting::GatewayNotAsked));
        for verdict in [Verdict::Refused, Verdict::Unclear] {
            assert_eq!(long.with_verdict(verdict).decide(), because(Reason::Expired), "{verdict:?}");
        }
        let mut short = TestAccount::with_token(12 * HOUR);
        assert_eq!(short.decide(), Decision::Rest);
        short.later(12 * HOUR);
        assert!(short.awaits(Waiting::GatewayNotAsked), "a short one may be accepted all the same too");
        assert_eq!(short.with_verdict(Verdict::Refused).decide(), Decision::Stop(Stopped::ShortToken));
        short.renew_short_tokens = true;
        assert_eq!(short.decide(), because(Reason::Expired));
    }

    #[test]
    fn a_token_that_the_gateway_accepts_has_not_expired_whatever_a_clock_shows() {
        for ahead in [YEAR, 30 * YEAR] {
            let mut account = TestAccount::with_token(YEAR);
            account.without_time().clocks.moment.wall += ahead;
            assert!(account.awaits(Waiting::GatewayNotAsked));
            account.with_verdict(Verdict::Accepted);
            assert_eq!(account.decide(), Decision::Rest);
            // An acceptance overrides earlier refusals, even if it could not be written to the record.
            account.refuse().later(HOUR).refuse().with_verdict(Verdict::Accepted);
            assert_eq!(account.decide(), Decision::Rest);
        }
        let mut two_clocks = TestAccount::with_token(YEAR);
        assert_eq!(
            two_clocks.later(2 * YEAR).with_verdict(Verdict::Accepted).decide(),
            because(Reason::Renewal)
        );
        let mut short = TestAccount::with_token(12 * HOUR);
        assert_eq!(short.later(DAY).with_verdict(Verdict::Accepted).decide(), Decision::Rest);
    }

    #[test]
    fn where_no_time_is_told_our_clock_renews_nothing_and_a_token_is_over_when_it_was_refused_twice() {
        let mut account = TestAccount::with_token(YEAR);
        account.without_time().later(350 * DAY);
        assert_eq!(account.decide(), Decision::Rest, "by our clock alone nothing is due for renewal");
        account.later(16 * DAY);
        assert!(account.with_verdict(Verdict::Unclear).awaits(Waiting::GatewayUnsure));
        assert!(account.refuse().awaits(Waiting::GatewayUnsure));
        assert!(account.later(Duration::from_secs(299)).refuse().awaits(Waiting::GatewayUnsure));
        account.later(Duration::from_secs(1)).refuse();
        assert_eq!(account.decide(), because(Reason::Expired));
        account.clocks.moment.wall -= 60 * DAY;
        assert_eq!(account.decide(), Decision::Rest, "for a clock that was ahead they are no refusals");
        account.clocks.moment.wall += 60 * DAY;
        let id = account.tokens[0].id.clone();
        account.record.accepted(&account.serial, &id);
        assert!(account.awaits(Waiting::GatewayUnsure));
    }

    #[test]
    fn a_gateway_that_is_silent_is_said_to_be_before_it_is_asked_about_a_token() {
        let mut account = TestAccount::with_token(YEAR);
        account.later(YEAR);
        (account.clocks.gateway, account.clocks.answers) = (None, false);
        assert!(account.awaits(Waiting::GatewaySilent));
    }

    #[test]
    fn who_asks_while_a_code_is_typed_elsewhere_ends_no_login() {
        let mut account = TestAccount::new();
        account.fail(Kind::SecondFactor).later(HOUR);
        for operator in [Operator::Asks, Operator::Insists] {
            (account.operator, account.account) = (operator, Account::Refused(Kind::SecondFactor));
            account.asked_ago = 2 * HOUR;
            assert_eq!(account.decide(), Decision::Stop(Stopped::SecondFactor), "it was sent since");
            account.asked_ago = HOUR;
            assert!(account.acts());
        }
    }

    #[test]
    fn a_newcomer_costs_no_login_until_a_person_asks_for_its_token() {
        let mut account = TestAccount::new();
        account.is_newcomer = true;
        assert_eq!(account.decide(), Decision::Stop(Stopped::Newcomer));
        for operator in [Operator::Asks, Operator::Insists] {
            account.operator = operator;
            assert_eq!(account.decide(), because(Reason::Operator));
        }
        let mut supplied = TestAccount::with_token(YEAR);
        supplied.is_newcomer = true;
        assert_eq!(supplied.later(YEAR).with_verdict(Verdict::Refused).decide(), because(Reason::Expired));
    }

    #[test]
    fn a_token_that_came_while_a_person_waited_is_the_one_that_was_asked_for() {
        let mut account = TestAccount::new();
        account.log_in().fetch();
        account.tokens.push(token("token", account.clocks.moment.wall, YEAR));
        account.later(HOUR);
        for operator in [Operator::Asks, Operator::Insists] {
            account.operator = operator;
            account.asked_ago = HOUR + Duration::from_secs(1);
            assert_eq!(account.decide(), Decision::Rest);
            account.asked_ago = HOUR;
            assert_ne!(account.decide(), Decision::Rest, "it came before: the person has seen it");
        }
        account.asked_ago = 2 * HOUR;
        account.tokens.clear();
        assert_ne!(account.decide(), Decision::Rest, "it was forgotten since");
    }

    #[test]
    fn one_who_insists_does_not_set_aside_a_login_that_was_sent_since() {
        for kind in [Kind::Transient, Kind::Unclear, Kind::TooManySessions] {
            let mut account = TestAccount::new();
            account.fail(kind).later(HOUR / 60);
            account.operator = Operator::Insists;
            account.asked_ago = HOUR;
            assert!(matches!(account.decide(), Decision::Wait { why: Waiting::HoldOff(_), .. }), "{kind:?}");
            account.asked_ago = HOUR / 60;
            assert!(account.acts(), "{kind:?}: it was known when he insisted");
        }
    }

    #[test]
    fn a_candidate_that_has_expired_is_no_reason_while_the_token_in_use_is_good() {
        for lifetime in [12 * HOUR, YEAR] {
            let mut account = TestAccount::with_token(YEAR);
            let long_ago = account.clocks.moment.wall - 2 * YEAR;
            account.tokens.insert(0, token("imported", long_ago, lifetime));
            assert_eq!(account.decide(), Decision::Rest, "and it is not asked about either");
        }
    }

    #[test]
    fn a_refusal_counts_when_it_is_repeated_five_minutes_later() {
        let mut account = TestAccount::with_token(YEAR);
        let id = account.tokens[0].id.clone();
        assert!(account.record.refused(&account.serial, &id, &account.clocks));
        account.later(Duration::from_secs(299));
        assert!(!account.record.refused(&account.serial, &id, &account.clocks));
        assert_eq!(account.decide(), Decision::Rest);
        account.later(Duration::from_secs(1));
        assert!(account.record.refused(&account.serial, &id, &account.clocks));
        assert_eq!(account.decide(), because(Reason::Refused));
        assert!(account.record.accepted(&account.serial, &id));
        assert_eq!(account.decide(), Decision::Rest);
    }

    #[test]
    fn a_candidate_and_the_token_in_use_are_refused_each_by_itself() {
        let mut account = TestAccount::with_token(YEAR);
        let id = |name: &str| -> TokenId { serde_json::from_str(&format!("\"{name}\"")).unwrap() };
        for length in [0, 150, 150] {
            account.later(Duration::from_secs(length));
            account.record.refused(&account.serial, &id("candidate"), &account.clocks);
            account.record.accepted(&account.serial, &id("token"));
        }
        assert!(account.record.is_refused(&account.serial, &id("candidate")));
        assert!(!account.record.is_refused(&account.serial, &id("token")));
    }

    #[test]
    fn a_gateway_that_is_silent_costs_no_login() {
        let mut account = TestAccount::new();
        (account.clocks.gateway, account.clocks.answers) = (None, false);
        let wait = Decision::Wait { reason: Reason::NoToken, left: None, why: Waiting::GatewaySilent };
        assert_eq!(account.decide(), wait);
    }

    #[test]
    fn a_gateway_that_answers_without_the_time_gets_its_token() {
        let mut account = TestAccount::new();
        account.clocks.gateway = None;
        assert_eq!(account.decide(), because(Reason::NoToken));
    }

    #[test]
    fn a_short_token_that_is_over_does_not_keep_a_long_one_from_its_renewal() {
        let mut account = TestAccount::with_token(YEAR);
        let then = account.clocks.moment.wall;
        account.tokens.insert(0, token("imported", then, HOUR));
        account.later(340 * DAY);
        assert!(account.awaits(Waiting::GatewayNotAsked));
        assert_eq!(account.with_verdict(Verdict::Refused).decide(), because(Reason::Renewal));
        account.tokens.pop();
        assert_eq!(account.decide(), Decision::Stop(Stopped::ShortToken));
    }

    #[test]
    fn an_answer_that_nobody_has_seen_leads_to_the_other_way_at_once() {
        let mut account = TestAccount::new();
        account.log_in().fail(Kind::Unexpected);
        assert_eq!(account.decide(), Decision::Act { step: Step::OtherToken, reason: Reason::NoToken });
        // When that fails as well, both are tried again after the hold-off of what is transient.
        for (least, how) in [(5, Kind::Unexpected), (10, Kind::Transient), (5, Kind::SessionOver)] {
            let (left, _) = account.fail(how).waits();
            assert!((least..=least + least / 10).contains(&(left.as_secs() / 60)), "{how:?}: {left:?}");
            account.later(left);
            assert_eq!(account.decide(), Decision::Act { step: Step::Token, reason: Reason::NoToken });
            account.fail(Kind::Unexpected);
        }
    }

    #[test]
    fn of_logins_that_may_have_opened_a_session_three_a_day_are_the_most() {
        let mut account = TestAccount::new();
        let first = account.clocks.moment.up;
        for _ in 0..3 {
            let (left, why) = account.fail(Kind::Unclear).waits();
            if why == Waiting::HoldOff(Kind::Unclear) {
                account.later(left);
            }
        }
        let (left, why) = account.waits();
        let passed = account.clocks.moment.up.saturating_sub(first);
        assert_eq!((why, left + passed), (Waiting::ThriceUnclear, DAY));
        account.later(left);
        assert!(account.acts(), "the first is a day ago");
    }

    #[test]
    fn a_login_counts_among_those_that_may_have_opened_a_session() {
        let mut account = TestAccount::new();
        account.log_in().fetch().tokens.clear();
        account.later(23 * HOUR);
        account.operator = Operator::Insists;
        account.fail(Kind::Unclear).fail(Kind::Unclear);
        account.operator = Operator::Absent;
        assert!(account.later(HOUR).acts(), "the login is a day ago");
        account.fail(Kind::Unclear);
        assert_eq!(account.waits(), (23 * HOUR, Waiting::ThriceUnclear));
    }

    #[test]
    fn transient_failures_hold_off_from_five_minutes_to_six_hours() {
        let mut account = TestAccount::new();
        let mut holds = Vec::new();
        for _ in 0..9 {
            let (left, why) = account.fail(Kind::Transient).waits();
            assert_eq!(why, Waiting::HoldOff(Kind::Transient));
            holds.push(left.as_secs() / 60);
            account.later(left);
        }
        for (hold, least) in holds.iter().zip([5, 10, 20, 40, 80, 160, 320, 360, 360]) {
            assert!((least..=least + least / 10).contains(hold), "{holds:?}");
        }
    }

    #[test]
    fn too_many_sessions_holds_off_for_one_to_three_days() {
        let mut account = TestAccount::new();
        for days in [1, 2, 3, 3] {
            let (left, why) = account.fail(Kind::TooManySessions).waits();
            assert_eq!((left, why), (days * DAY, Waiting::HoldOff(Kind::TooManySessions)));
            account.later(left);
        }
    }

    #[test]
    fn a_longer_retry_after_is_obeyed() {
        use crate::io::cloud::RetryAfter;
        for (asked, held) in [(2 * DAY, 2 * DAY), (HOUR, DAY), (1000 * MONTH, MONTH)] {
            let mut account = TestAccount::new();
            account.record.begin(Step::Login, Reason::NoToken, &account.serial, &account.clocks);
            let retry_after = Some(RetryAfter::Wait(asked));
            let failure = Failure { kind: Kind::Blocked, retry_after, why: String::new() };
            account.record.failed(&failure, "hash", &account.clocks, &mut account.rng);
            assert_eq!(account.waits(), (held, Waiting::HoldOff(Kind::Blocked)));
        }
    }

    #[test]
    fn wrong_credentials_stop_until_they_change() {
        let mut account = TestAccount::new();
        account.fail(Kind::WrongCredentials).later(1000 * DAY);
        account.account = Account::Refused(Kind::WrongCredentials);
        assert_eq!(account.decide(), Decision::Stop(Stopped::WrongCredentials));
        account.operator = Operator::Asks;
        assert_eq!(account.decide(), Decision::Stop(Stopped::WrongCredentials));
        account.account = Account::Ready;
        assert!(account.acts());
    }

    #[test]
    fn a_second_factor_stops_until_the_operator_acts() {
        let mut account = TestAccount::new();
        account.fail(Kind::SecondFactor).later(1000 * DAY);
        account.account = Account::Refused(Kind::SecondFactor);
        assert_eq!(account.decide(), Decision::Stop(Stopped::SecondFactor));
        account.operator = Operator::Asks;
        assert!(account.acts());
    }

    #[test]
    fn after_a_login_only_the_token_is_asked_for_again() {
        let mut account = TestAccount::new();
        account.log_in();
        assert_eq!(account.decide(), Decision::Act { step: Step::Token, reason: Reason::NoToken });
        let (left, _) = account.fail(Kind::Transient).waits();
        account.later(left);
        assert_eq!(account.decide(), Decision::Act { step: Step::Token, reason: Reason::NoToken });
        account.account = Account::Missing;
        assert_eq!(account.decide(), Decision::Act { step: Step::Token, reason: Reason::NoToken });
    }

    #[test]
    fn a_session_that_is_over_waits_for_the_day_to_end() {
        let mut account = TestAccount::new();
        account.log_in().fail(Kind::SessionOver);
        assert_eq!(account.waits(), (DAY, Waiting::OnceADay));
        assert_eq!(account.later(DAY).decide(), because(Reason::NoToken));
    }

    #[test]
    fn an_interrupted_login_counts_as_one() {
        let mut account = TestAccount::new();
        account.record.begin(Step::Login, Reason::NoToken, &account.serial, &account.clocks);
        assert_eq!(account.waits(), (DAY, Waiting::Interrupted));
        assert!(account.later(DAY).acts());
    }

    #[test]
    fn an_interrupted_fetch_keeps_the_session() {
        let mut account = TestAccount::new();
        account.log_in();
        account.record.begin(Step::Token, Reason::NoToken, &account.serial, &account.clocks);
        assert_eq!(account.waits(), (SHORTEST_HOLD_OFF, Waiting::Interrupted));
        account.later(SHORTEST_HOLD_OFF);
        assert_eq!(account.decide(), Decision::Act { step: Step::Token, reason: Reason::NoToken });
    }

    #[test]
    fn three_logins_a_month_are_the_most() {
        let mut account = TestAccount::new();
        for _ in 0..3 {
            account.log_in().fetch().later(DAY);
        }
        assert_eq!(account.waits(), (27 * DAY, Waiting::ThriceAMonth));
        account.operator = Operator::Insists;
        assert_eq!(account.decide(), because(Reason::Operator));
    }

    #[test]
    fn an_operator_who_asks_obeys_the_hold_offs_and_one_who_insists_does_not() {
        let mut account = TestAccount::new();
        account.fail(Kind::TooManySessions);
        account.operator = Operator::Asks;
        assert_eq!(account.waits(), (DAY, Waiting::HoldOff(Kind::TooManySessions)));
        account.operator = Operator::Insists;
        assert_eq!(account.decide(), because(Reason::Operator));
    }

    #[test]
    fn a_failure_of_one_who_insists_shortens_no_hold_off() {
        let mut account = TestAccount::new();
        account.fail(Kind::TooManySessions);
        account.operator = Operator::Insists;
        account.later(HOUR).fail(Kind::Transient);
        account.operator = Operator::Absent;
        assert_eq!(account.waits(), (23 * HOUR, Waiting::HoldOff(Kind::TooManySessions)));
    }

    #[test]
    fn without_credentials_there_is_no_login() {
        let mut account = TestAccount::new();
        account.account = Account::Missing;
        assert_eq!(account.decide(), Decision::Stop(Stopped::NoCredentials));
    }

    #[test]
    fn a_damaged_record_counts_as_a_login() {
        let mut account = TestAccount::new();
        account.record = Record::after_damage(&account.serial, &account.clocks);
        assert_eq!(account.waits(), (DAY, Waiting::Interrupted));
    }

    #[test]
    fn a_jump_of_the_clock_opens_no_hold_off_and_prolongs_none() {
        for jump in [-20 * 365, -1, 1, 20 * 365] {
            let mut account = TestAccount::new();
            account.fail(Kind::TooManySessions);
            account.clocks.moment.wall += SignedDuration::from_hours(24 * jump);
            assert_eq!(account.waits(), (DAY, Waiting::HoldOff(Kind::TooManySessions)), "{jump} days");
            assert!(account.later(DAY).acts(), "{jump} days");
        }
    }
}
