//! What a simulated cloud is like.

use std::time::Duration;

use crate::simulator::jwt::Role;
use crate::simulator::tls::Transport;

const DAY: Duration = Duration::from_secs(86_400);

/// Somebody who can log in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The gateways it may have tokens for.
    pub serials: Vec<String>,
    /// What it asks for beside the password.
    pub second_factor: Option<SecondFactor>,
}

/// How a second factor shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// A success without a session; this code opens one.
    Code(String),
    /// `requires_mfa`, and no way on.
    Demanded,
}

/// What the cloud is like when all is well.
#[derive(Clone, Debug)]
pub struct CloudOptions {
    /// Who can log in.
    pub accounts: Vec<Account>,
    /// How many sessions an account may have. Enphase's own limit is not known.
    pub session_limit: usize,
    /// The status of the answer beyond it, not known either.
    pub session_limit_status: u16,
    /// How long a session lasts; nobody has found a way to end one.
    pub session_lifetime: Duration,
    /// How long a token lasts: 365 days for an owner, 12 hours for an installer, 1 hour for some.
    pub token_lifetime: Duration,
    /// Whose tokens they are.
    pub role: Role,
    /// How both hosts are spoken to.
    pub transport: Transport,
    /// Chooses the sessions' numbers.
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
