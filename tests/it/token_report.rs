//! Tests the report of a token's state to the broker.

use std::time::Duration;

use enphased::app::latest::TokenReport;
use enphased::io::token::Token;
use enphased::io::token::store::{Origin, Tokens};
use enphased::rules::logins::attempt::Reason;
use enphased::rules::logins::decision::{Decision, Stopped, Waiting};
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
        let report = TokenReport::new(tokens, &Decision::Rest, at(days));
        assert!(!serde_json::to_string(&report).unwrap().contains("eyJ"));
        (report.state, report.days_left)
    };
    assert_eq!(told(&Tokens::default(), 0), ("missing", None));
    assert_eq!(told(&year, 0), ("valid", Some(365)));
    assert_eq!(told(&year, 337), ("expiring", Some(28)));
    assert_eq!(told(&year, 366), ("expired", Some(-1)));
    assert_eq!(told(&tokens(DAY / 2), 0), ("short", Some(0)));
}

#[test]
fn a_report_has_the_time_of_the_next_login() {
    let next = |tokens: &Tokens, decision: &Decision, days: i64| {
        let report = TokenReport::new(tokens, decision, at(days));
        let json = serde_json::to_value(&report).unwrap();
        assert!(json.get("next_login_at").is_some() && json.get("expires_at").is_some(), "{json}");
        report.next_login_at
    };
    let year = tokens(365 * DAY);
    // Thirty days before the end, and up to a day later.
    let renewal = next(&year, &Decision::Rest, 0).unwrap();
    assert!((at(335)..=at(336)).contains(&renewal), "{renewal}");
    assert_eq!(next(&year, &Decision::Rest, 100), Some(renewal));
    assert_eq!(next(&year, &Decision::Rest, 340), None, "it is due");
    assert_eq!(next(&tokens(DAY / 2), &Decision::Rest, 0), None, "it is not renewed");
    let (reason, why) = (Reason::NoToken, Waiting::GatewaySilent);
    let wait = |left| Decision::Wait { reason, left, why };
    assert_eq!(next(&Tokens::default(), &wait(Some(DAY + Duration::from_millis(7))), 1), Some(at(2)));
    assert_eq!(next(&Tokens::default(), &wait(None), 1), None);
    assert_eq!(next(&Tokens::default(), &Decision::Stop(Stopped::NoCredentials), 1), None);
}
