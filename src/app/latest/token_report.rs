//! The state of a gateway's token, for the broker and for `token status`. Never contains the token.

use jiff::{SignedDuration, Timestamp, Unit};
use serde::Serialize;

use crate::io::token::store::Tokens;
use crate::rules::logins::decision::{Decision, Stopped, Waiting};
use crate::rules::logins::situation::TokenFacts;

/// The obstacle between a gateway and a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A login waits, for this reason.
    Waits(Waiting),
    /// A person has to act.
    NeedsPerson(Stopped),
}

/// The state of a gateway's token, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenReport {
    /// The state as a stable word for programs, e.g. `valid`, `expired`, `missing`.
    pub state: &'static str,
    /// The role, `owner` or `installer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The origin of the token: `login` or `import`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The time at which the cloud issued the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// The time at which the token expires. Null if there is no token, because Home Assistant warns about a missing field.
    pub expires_at: Option<Timestamp>,
    /// The time of the next login without a request by the operator; null if none is planned, or if it is due.
    pub next_login_at: Option<Timestamp>,
    /// The whole days until then; negative after the expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// The state as a sentence for people.
    pub message: String,
    /// The reason that another token is needed, and when it comes; `None` if none is needed. Part of the message.
    #[serde(skip)]
    pub waiting: Option<String>,
    /// The obstacle between the gateway and a new token, if it needs one.
    #[serde(skip)]
    pub obstacle: Option<Obstacle>,
}

impl TokenReport {
    /// Describes the state of `tokens` at `now`. `decision` is the decision of the login rules about a new token.
    pub fn new(tokens: &Tokens, decision: &Decision, now: Timestamp) -> Self {
        let Some(kept) = tokens.in_use() else {
            return Self {
                state: "missing",
                role: None,
                source: None,
                issued_at: None,
                expires_at: None,
                next_login_at: next_login(decision, None, now),
                days_left: None,
                message: decision.to_string(),
                waiting: Some(decision.to_string()),
                obstacle: obstacle(decision),
            };
        };
        let token = &kept.token;
        let left = token.remaining(now);
        let facts = TokenFacts::new(token, kept.stored_at);
        let (state, mut message) = if left <= SignedDuration::ZERO && *decision == Decision::Rest {
            (
                "expired",
                "the token has expired by this machine's clock; the gateway decides whether to accept it"
                    .to_owned(),
            )
        } else if left <= SignedDuration::ZERO {
            ("expired", "the token has expired".to_owned())
        } else if !token.is_long_lived() {
            ("short", format!("this token is valid for hours only, until {:.0}", token.expires_at))
        } else if now >= facts.renewal_opens() {
            ("expiring", format!("the token is valid until {:.0} and due for renewal", token.expires_at))
        } else {
            ("valid", format!("the token is valid until {:.0}", token.expires_at))
        };
        let waiting = (*decision != Decision::Rest).then(|| decision.to_string());
        if let Some(waiting) = &waiting {
            message = format!("{message}; {waiting}");
        }
        Self {
            state,
            role: Some(token.role.to_string()),
            source: Some(kept.origin.clone().into()),
            issued_at: Some(token.issued_at),
            expires_at: Some(token.expires_at),
            next_login_at: next_login(decision, token.is_long_lived().then(|| facts.renewal_opens()), now),
            days_left: Some(left.as_hours().div_euclid(24)),
            message,
            waiting,
            obstacle: obstacle(decision),
        }
    }
}

const fn obstacle(decision: &Decision) -> Option<Obstacle> {
    match decision {
        Decision::Rest | Decision::Act { .. } => None,
        Decision::Wait { why, .. } => Some(Obstacle::Waits(*why)),
        Decision::Stop(stopped) => Some(Obstacle::NeedsPerson(*stopped)),
    }
}

/// Returns the time of the next login by the login rules, if it is in the future. `renewal` is the time at which the token
/// will be renewed.
fn next_login(decision: &Decision, renewal: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let next = match decision {
        Decision::Rest => renewal?,
        Decision::Wait { left, .. } => now.checked_add((*left)?).ok()?,
        Decision::Act { .. } | Decision::Stop(_) => return None,
    };
    // The remaining time is measured at each poll; its jitter must not change the report.
    next.round(Unit::Minute).ok().filter(|next| *next > now)
}
