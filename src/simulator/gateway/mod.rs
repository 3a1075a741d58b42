//! A simulated gateway: the pages of a folder over TLS, with tokens, sessions and faults.

mod access;
mod options;
mod state;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

pub use self::options::{Condition, GatewayOptions};
use self::state::State;
use super::counts::{GatewayCounts, Request};
use super::fault::Failure;
use super::server::Server;
use super::tls::{Key, Transport};
use super::world::World;
use crate::base::clock::Clock;

/// The time of the nightly restart, in seconds of the day (UTC).
const NIGHTLY: i64 = 23 * 3600 + 60;
/// The duration of the nightly restart.
const NIGHTLY_LENGTH: Duration = Duration::from_secs(107);

/// A gateway on loopback, which ends when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    server: Server,
    transport: Transport,
    /// `true` if a condition has changed the listener.
    disturbed: AtomicBool,
    state: Arc<Mutex<State>>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all sessions and refuses connections, as a reboot does.
    fn go_down(&self) {
        self.state().access.end_sessions();
        self.server.shut();
    }
}

impl Gateway {
    /// Starts a gateway in the caller's tokio runtime.
    ///
    /// # Errors
    /// Fails if no port of loopback is free.
    pub fn start(clock: &Clock, world: &World, options: &GatewayOptions) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(clock, world, options)));
        let responding = Arc::clone(&state);
        let server = Server::start(options.transport, move |call| {
            responding.lock().unwrap_or_else(PoisonError::into_inner).respond(call)
        })?;
        let inner = Arc::new(Inner {
            server,
            transport: options.transport,
            disturbed: AtomicBool::new(false),
            state,
        });
        if options.nightly_restart {
            tokio::spawn(restart_nightly(clock.clone(), Arc::downgrade(&inner)));
        }
        Ok(Self { inner })
    }

    /// Returns the gateway's URL, without a trailing slash.
    pub fn address(&self) -> String {
        format!("{}://{}", self.inner.transport.scheme(), self.inner.server.address())
    }

    /// Returns the current serial number.
    pub fn serial(&self) -> String {
        self.inner.state().access.serial.clone()
    }

    /// Adds a fault.
    pub fn fail(&self, failure: impl Into<Failure>) {
        self.inner.state().faults.add(failure.into());
    }

    /// Applies a condition.
    pub fn set_condition(&self, condition: Condition) {
        let Inner { server, disturbed, .. } = &*self.inner;
        match condition {
            Condition::ReplacedKey => {
                server.present(Transport::Tls(Key::Replaced));
                server.reopen();
            }
            Condition::Refusing => self.inner.go_down(),
            Condition::Silent => server.set_silent(true),
            in_responses => return self.inner.state().set_condition(in_responses),
        }
        disturbed.store(true, Ordering::Relaxed);
    }

    /// Removes all faults and conditions. Sessions that have ended stay ended.
    pub fn heal(&self) {
        let Inner { server, disturbed, .. } = &*self.inner;
        self.inner.state().heal();
        if disturbed.swap(false, Ordering::Relaxed) || server.is_shut() {
            server.set_silent(false);
            server.present(self.inner.transport);
            server.reopen();
        }
    }

    /// Refuses the tokens issued so far, and accepts new ones.
    pub fn revoke_tokens(&self) {
        let mut state = self.inner.state();
        state.access.revoked_until = Some(state.time());
        state.access.end_sessions();
    }

    /// Reboots: refuses connections for `length` and ends the sessions.
    pub fn restart(&self, length: Duration) {
        self.inner.go_down();
        tokio::spawn(come_back(Arc::downgrade(&self.inner), length));
    }

    /// Returns the counts of all requests so far.
    pub fn counts(&self) -> GatewayCounts {
        self.inner.state().counts(self.inner.server.traffic())
    }

    /// Returns the newest requests, oldest first; at most 20,000.
    pub fn requests(&self) -> Vec<Request> {
        self.inner.state().log.requests()
    }

    /// Returns the cookies of the open sessions.
    pub fn sessions(&self) -> Vec<String> {
        self.inner.state().access.sessions().map(str::to_owned).collect()
    }

    /// Returns a counter of handled requests, for tests that wait for one. Its response is then being sent.
    pub fn arrived(&self) -> watch::Receiver<u64> {
        self.inner.state().log.arrived()
    }
}

async fn come_back(gateway: Weak<Inner>, length: Duration) {
    tokio::time::sleep(length).await;
    if let Some(inner) = gateway.upgrade()
        && inner.server.is_shut()
    {
        inner.server.reopen();
    }
}

async fn restart_nightly(clock: Clock, gateway: Weak<Inner>) {
    loop {
        tokio::time::sleep(until_restart(clock.now())).await;
        let Some(inner) = gateway.upgrade() else { return };
        inner.go_down();
        drop(inner);
        come_back(Weak::clone(&gateway), NIGHTLY_LENGTH).await;
    }
}

/// Returns the time from `now` to the next nightly restart, up to a day.
fn until_restart(now: Timestamp) -> Duration {
    let seconds = (NIGHTLY - now.as_second() - 1).rem_euclid(86_400) + 1;
    Duration::from_secs(seconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nightly_restart_is_at_the_next_23_01() {
        let wait = |now: &str| until_restart(now.parse().unwrap()).as_secs();
        assert_eq!(wait("2026-06-21T22:00:00Z"), 3660);
        assert_eq!(wait("2026-06-21T23:01:00Z"), 86_400);
        assert_eq!(wait("2026-06-21T23:02:00Z"), 86_340);
    }
}
