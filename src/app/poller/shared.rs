//! What the pollers of a daemon share.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::Mutex;

use super::claims::Claims;
use crate::app::latest::Latest;
use crate::app::requests::Requests;
use crate::app::status::StatusList;
use crate::app::token_provider::TokenProvider;
use crate::app::token_provider::ending::Ending;
use crate::base::clock::Clock;
use crate::io::state_dir::StateDir;

/// What the pollers of a daemon share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where the state lies.
    pub state: StateDir,
    /// The time.
    pub clock: Clock,
    /// The zone of local midnight.
    pub zone: TimeZone,
    /// The account's tokens.
    pub token_provider: Arc<Mutex<TokenProvider>>,
    /// What the end of the program waits for.
    pub ending: Ending,
    /// Where readings are put.
    pub latest: Latest,
    /// Where each poller says how it stands.
    pub statuses: StatusList,
    /// Where what is asked over MQTT waits.
    pub requests: Requests,
    /// Which entry of the configuration reads which gateway.
    pub claims: Claims,
}
