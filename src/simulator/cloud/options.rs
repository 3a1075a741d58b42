//! The options of a simulated cloud.

use std::time::Duration;

use crate::simulator::jwt::Role;
use crate::simulator::tls::Transport;

const DAY: Duration = Duration::from_secs(86_400);

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The gateways of the account.
    pub serials: Vec<String>,
    /// The second factor, if the account requires one.
    pub second_factor: Option<SecondFactor>,
}

/// A second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// The login returns a success without a session; this code opens one.
    Code(String),
    /// The login returns `requires_mfa`, and cannot be completed.
    Demanded,
}

/// The options of a cloud without faults.
#[derive(Clone, Debug)]
pub struct CloudOptions {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The maximum number of sessions of an account. Enphase's limit is not known.
    pub session_limit: usize,
    /// The status of the response beyond the limit, which is not known either.
    pub session_limit_status: u16,
    /// The lifetime of a session. No way to end one earlier is known.
    pub session_lifetime: Duration,
    /// The lifetime of a token: 365 days for an owner, 12 hours for an installer, 1 hour for some owners.
    pub token_lifetime: Duration,
    /// The role in the tokens.
    pub role: Role,
    /// The transport of both hosts.
    pub transport: Transport,
    /// The seed of the session ids.
    pub seed: u64,
}

impl Default for CloudOptions {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            session_limit: 5,
            session_limit_status: 200,
            session_lifetime: DAY,
            token_lifetime: 365 * DAY,
            role: Role::Owner,
            transport: Transport::Plain,
            seed: 1,
        }
    }
}
