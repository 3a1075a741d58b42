//! Tests the report of a token's state to the broker.

use std::time::Duration;

use enphased::app::poller::token_report::token_report;
use enphased::io::token::Token;
use enphased::io::token::store::{Origin, Tokens};
use enphased::rules::logins::decision::Decision;
use enphased::simulator::{Role, mint_token};
use jiff::{SignedDuration, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

fn at(days: i64) -> Timestamp {
    let start: Timestamp = "2026-06-21T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_hours(24 * days)
}

fn tokens(lifetime: Duration) -> Tokens {
    let token = Token::decode(&mint_token("122300000001", Role::Owner, at(0), lifetime)).unwrap();
    let mut tokens = Tokens::default();
    tokens.arrived(token, Origin::Login, at(0));
    tokens.promote(at(0));
    tokens
}

#[test]
fn a_report_tells_the_state_and_the_days_and_no_secret() {
    let year = tokens(365 * DAY);
    let told = |tokens: &Tokens, days: i64| {
        let report = token_report(tokens, &Decision::Rest, at(days));
        assert!(!serde_json::to_string(&report).unwrap().contains("eyJ"));
        (report.state, report.days_left)
    };
    assert_eq!(told(&Tokens::default(), 0), ("missing", None));
    assert_eq!(told(&year, 0), ("valid", Some(365)));
    assert_eq!(told(&year, 337), ("expiring", Some(28)));
    assert_eq!(told(&year, 366), ("expired", Some(-1)));
    assert_eq!(told(&tokens(DAY / 2), 0), ("short", Some(0)));
}
