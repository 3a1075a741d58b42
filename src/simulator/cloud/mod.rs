//! A simulated cloud: Enlighten, which handles logins, and Entrez, which signs tokens.

mod accounts;
mod options;
pub mod responses;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

pub use self::accounts::{ENTREZ_AUTH_TOKEN, LOGIN, SEND_OTP, TOKENS, VALIDATE_OTP};
use self::accounts::{Host, State};
pub use self::options::{Account, CloudOptions, SecondFactor};
use super::counts::{CloudCounts, Request};
use super::fault::Failure;
use super::server::Server;
use crate::base::clock::Clock;

/// A cloud on loopback, which ends when it is dropped.
#[derive(Debug)]
pub struct Cloud {
    scheme: &'static str,
    enlighten: Server,
    entrez: Server,
    state: Arc<Mutex<State>>,
}

impl Cloud {
    /// Starts a cloud in the caller's tokio runtime.
    ///
    /// # Errors
    /// Fails if no port of loopback is free.
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

    /// Returns the URL of Enlighten, without a trailing slash.
    pub fn enlighten_url(&self) -> String {
        format!("{}://{}", self.scheme, self.enlighten.address())
    }

    /// Returns the URL of Entrez, without a trailing slash.
    pub fn entrez_url(&self) -> String {
        format!("{}://{}", self.scheme, self.entrez.address())
    }

    /// Adds a fault.
    pub fn fail(&self, failure: impl Into<Failure>) {
        self.state().faults.add(failure.into());
    }

    /// Refuses connections to both hosts until [`Self::heal`].
    pub fn unplug(&self) {
        self.enlighten.shut();
        self.entrez.shut();
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.state().faults.heal();
        for server in [&self.enlighten, &self.entrez] {
            if server.is_shut() {
                server.reopen();
            }
        }
    }

    /// Ends every session, as after a day.
    pub fn end_sessions(&self) {
        self.state().end_sessions();
    }

    /// Changes an account's password.
    pub fn set_password(&self, email: &str, password: &str) {
        self.state().set_password(email, password);
    }

    /// Returns the counts of all requests so far.
    pub fn counts(&self) -> CloudCounts {
        self.state().counts.clone()
    }

    /// Returns the time of each login attempt.
    pub fn login_times(&self) -> Vec<Timestamp> {
        self.state().counts.login_times.clone()
    }

    /// Returns the newest requests, oldest first; at most 20,000.
    pub fn requests(&self) -> Vec<Request> {
        self.state().log.requests()
    }

    /// Returns a counter of handled requests, for tests that wait for one. Its response is then being sent.
    pub fn arrived(&self) -> watch::Receiver<u64> {
        self.state().log.arrived()
    }

    /// Returns the issued secrets: session ids, which are also the cookies, and tokens.
    pub fn secrets(&self) -> Vec<String> {
        self.state().secrets.clone()
    }
}
