//! Limits on the codes of a second factor within one login.
//!
//! A login that requires a code has not opened a session yet. The codes and the requests for another code follow it in
//! the record, each written before it is sent (L4). Together they count as one login: only the correct code opens the
//! session. A person may take minutes to type a code, so the login lock is released meanwhile. A code is sent only if
//! the record shows no other attempt since.

use super::attempt::{Attempt, Outcome, Step};
use super::record::Record;
use crate::io::cloud::Kind;

/// The maximum number of codes sent in one login.
const CODES: usize = 3;
/// The maximum number of requests for another code in one login.
const MORE_CODES: usize = 2;

/// Returns how often `step` (a code, or a request for another) may still be sent in the login that waits for a code.
///
/// Returns `None` if no login waits for a code.
pub fn left(record: &Record, step: Step) -> Option<usize> {
    let mut newest_first = record.attempts.iter().rev();
    let (mut codes, mut more) = (0, 0);
    let login = newest_first.find(|attempt| {
        match attempt.step {
            Step::Code => codes += 1,
            Step::AnotherCode => more += 1,
            Step::Login | Step::Token | Step::OtherToken => return true,
        }
        !goes_on(attempt)
    })?;
    let waits = login.step == Step::Login && login.failed_as(Kind::SecondFactor);
    waits.then(|| match step {
        Step::AnotherCode => MORE_CODES.saturating_sub(more),
        _ => CODES.saturating_sub(codes),
    })
}

/// Returns `true` if a code may still be sent after `attempt`.
fn goes_on(attempt: &Attempt) -> bool {
    match (attempt.step, &attempt.outcome) {
        (Step::Code, _) => attempt.failed_as(Kind::WrongCode),
        // The first code may still arrive, even if the request for another failed.
        (Step::AnotherCode, Some(Outcome::Failed { kind, .. })) => kind.row() == Kind::Transient,
        (_, outcome) => outcome.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fastrand::Rng;

    use super::*;
    use crate::base::clock::Moment;
    use crate::base::reading::Serial;
    use crate::base::secrets::Secret;
    use crate::io::cloud::Failure;
    use crate::rules::logins::attempt::Reason;
    use crate::rules::logins::clocks::Clocks;

    fn clocks() -> Clocks {
        let wall = "2026-11-20T10:00:00Z".parse().unwrap();
        let moment = Moment { wall, boot: "boot".to_owned(), up: Duration::from_secs(60) };
        Clocks { moment, gateway: Some(wall), answers: true }
    }

    fn begin(record: &mut Record, step: Step) {
        record.begin(step, Reason::Operator, &Serial::parse("122300000001").unwrap(), &clocks());
    }

    fn fail(record: &mut Record, step: Step, kind: Kind) {
        begin(record, step);
        record.failed(&Failure::new(kind, "because"), "hash", &clocks(), &mut Rng::with_seed(1));
    }

    /// Returns a record with a login that waits for a code.
    fn waiting() -> Record {
        let mut record = Record::new(&clocks());
        fail(&mut record, Step::Login, Kind::SecondFactor);
        record
    }

    #[test]
    fn a_code_is_typed_three_times_and_sent_again_twice() {
        let mut record = waiting();
        for rest in [3, 2, 1] {
            assert_eq!(left(&record, Step::Code), Some(rest));
            fail(&mut record, Step::Code, Kind::WrongCode);
        }
        assert_eq!(left(&record, Step::Code), Some(0));
        for rest in [2, 1] {
            assert_eq!(left(&record, Step::AnotherCode), Some(rest));
            begin(&mut record, Step::AnotherCode);
            record.code_sent(&clocks());
        }
        assert_eq!(left(&record, Step::AnotherCode), Some(0));
        assert!(record.hold.is_none(), "a wrong code holds nothing off");
    }

    #[test]
    fn only_a_login_that_waits_for_a_code_is_given_one() {
        assert_eq!(left(&Record::new(&clocks()), Step::Code), None);
        for kind in [Kind::Transient, Kind::Blocked, Kind::WrongCredentials] {
            let mut record = Record::new(&clocks());
            fail(&mut record, Step::Login, kind);
            assert_eq!(left(&record, Step::Code), None, "{kind:?}");
        }
    }

    #[test]
    fn what_ends_the_login_ends_the_codes() {
        for kind in [Kind::Transient, Kind::Unclear, Kind::Blocked, Kind::TooManySessions] {
            let mut record = waiting();
            fail(&mut record, Step::Code, kind);
            assert_eq!(left(&record, Step::Code), None, "{kind:?}");
        }
        let mut interrupted = waiting();
        begin(&mut interrupted, Step::Code);
        assert_eq!(left(&interrupted, Step::Code), None);
        let mut logged_in = waiting();
        begin(&mut logged_in, Step::Code);
        logged_in.logged_in(Secret::new("5e55".to_owned()), "owner@example.com", &clocks());
        assert_eq!(left(&logged_in, Step::Code), None);
        let mut meanwhile = waiting();
        fail(&mut meanwhile, Step::Login, Kind::Blocked);
        assert_eq!(left(&meanwhile, Step::Code), None);
    }

    #[test]
    fn a_code_that_was_not_sent_again_may_still_come() {
        let mut record = waiting();
        fail(&mut record, Step::AnotherCode, Kind::Transient);
        assert_eq!(left(&record, Step::Code), Some(3));
        fail(&mut record, Step::AnotherCode, Kind::Blocked);
        assert_eq!(left(&record, Step::Code), None);
    }
}
