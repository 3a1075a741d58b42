//! A simulated cloud: Enlighten, where one logs in, and Entrez, which signs tokens.

mod accounts;
pub mod answers;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use tokio::sync::watch;

use self::accounts::{Host, State};
use super::counts::{CloudCounts, Request};
use super::fault::Failure;
use super::jwt::Role;
use super::server::Server;
use super::tls::Transport;
use crate::base::clock::Clock;

/// Where one logs in, at Enlighten.
pub const LOGIN: &str = "/login/login.json";
/// Where a token is fetched with the session's number, at Entrez.
pub const TOKENS: &str = "/tokens";
/// Where a token is fetched with the session's cookie, at Enlighten.
pub const ENTREZ_AUTH_TOKEN: &str = "/entrez-auth-token";
/// Where the code of a second factor is checked, at Enlighten.
pub const VALIDATE_OTP: &str = "/app-api/validate_login_otp";
/// Where another code is sent, at Enlighten.
pub const SEND_OTP: &str = "/app-api/generate_mfa_login_otp";

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

/// A cloud on loopback, until it is dropped.
#[derive(Debug)]
pub struct Cloud {
    scheme: &'static str,
    enlighten: Server,
    entrez: Server,
    state: Arc<Mutex<State>>,
}

impl Cloud {
    /// Starts a cloud in the tokio runtime around the caller.
    ///
    /// # Errors
    /// No port of loopback is free.
    pub fn start(clock: &Clock, options: CloudOptions) -> io::Result<Self> {
        let transport = options.transport;
        let state = Arc::new(Mutex::new(State::new(clock, options)));
        let host = |host| {
            let state = Arc::clone(&state);
            Server::start(transport, move |call| {
                state.lock().unwrap_or_else(PoisonError::into_inner).respond(host, call)
            })
        };
        let (enlighten, entrez) = (host(Host::Enlighten)?, host(Host::Entrez)?);
        Ok(Self { scheme: transport.scheme(), enlighten, entrez, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where one logs in, without a slash at its end.
    pub fn enlighten_url(&self) -> String {
        format!("{}://{}", self.scheme, self.enlighten.address())
    }

    /// Where tokens come from, without a slash at its end.
    pub fn entrez_url(&self) -> String {
        format!("{}://{}", self.scheme, self.entrez.address())
    }

    /// Lets answers go wrong from now on.
    pub fn fail(&self, failure: impl Into<Failure>) {
        self.state().faults.add(failure.into());
    }

    /// Refuses connections to both hosts until healed.
    pub fn unplug(&self) {
        self.enlighten.shut();
        self.entrez.shut();
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.state().faults.heal();
        for server in [&self.enlighten, &self.entrez] {
            if server.is_shut() {
                server.reopen();
            }
        }
    }

    /// Ends every session, as the passing of a day does.
    pub fn end_sessions(&self) {
        self.state().end_sessions();
    }

    /// Changes an account's password.
    pub fn set_password(&self, email: &str, password: &str) {
        self.state().set_password(email, password);
    }

    /// What was asked so far.
    pub fn counts(&self) -> CloudCounts {
        self.state().counts.clone()
    }

    /// When each attempt to log in arrived.
    pub fn login_times(&self) -> Vec<Timestamp> {
        self.state().counts.login_times.clone()
    }

    /// The newest requests, oldest first; at most 20,000.
    pub fn requests(&self) -> Vec<Request> {
        self.state().log.requests()
    }

    /// How many requests have been judged so far, for who waits for one; the answer is under way then.
    pub fn arrived(&self) -> watch::Receiver<u64> {
        self.state().log.arrived()
    }

    /// Everything secret that was handed out: the ids of sessions, which are their cookies too, and tokens.
    pub fn secrets(&self) -> Vec<String> {
        self.state().secrets.clone()
    }
}

/// Text from its base64.
fn decoded(value: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(value).ok()?).ok()
}
