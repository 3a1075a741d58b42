//! The state that the pollers of a daemon share.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::claims::Claims;
use crate::app::latest::Latest;
use crate::app::requests::Requests;
use crate::app::status::StatusList;
use crate::app::token_provider::TokenProvider;
use crate::app::token_provider::ending::Ending;
use crate::base::clock::Clock;
use crate::base::heartbeat::Heartbeats;
use crate::base::reading::{Event, Serial};
use crate::base::tally::Tally;
use crate::io::state_dir::StateDir;

/// The state that the pollers of a daemon share.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Shared {
    pub state: StateDir,
    pub clock: Clock,
    /// The time zone whose midnight begins a day.
    pub zone: TimeZone,
    /// Stores tokens and requests new ones from the cloud.
    pub token_provider: Arc<Mutex<TokenProvider>>,
    /// Tracks requests to the cloud that the program waits for before it ends.
    pub ending: Ending,
    /// Receives readings, availability, token reports and events.
    pub latest: Latest,
    /// Receives the status of each poller.
    pub statuses: StatusList,
    /// The queue of requests received over MQTT.
    pub requests: Requests,
    /// The `[[gateway]]` table that polls each gateway.
    pub claims: Claims,
    /// Counts polls, requests and logins.
    pub tally: Tally,
    /// The heartbeats of all tasks.
    pub heartbeats: Heartbeats,
}

impl Shared {
    /// Returns the token provider, unless a login of another gateway uses it.
    pub(super) fn free_token_provider(&self) -> Option<OwnedMutexGuard<TokenProvider>> {
        Arc::clone(&self.token_provider).try_lock_owned().ok()
    }

    /// Publishes an event of the gateway `serial`.
    pub(super) fn event(&self, serial: &Serial, kind: &'static str, message: String) {
        self.latest.put_event(serial, Event { time: self.clock.now(), kind, message });
    }
}
