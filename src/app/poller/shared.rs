//! What the pollers of a daemon share.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::Mutex;

use super::claims::Claims;
use crate::app::latest::Board;
use crate::app::requests::Wishes;
use crate::app::status::Standings;
use crate::app::token_provider::Supply;
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
    pub supply: Arc<Mutex<Supply>>,
    /// What the end of the program waits for.
    pub ending: Ending,
    /// Where readings are put.
    pub board: Board,
    /// Where each poller says how it stands.
    pub standings: Standings,
    /// Where what is asked over MQTT waits.
    pub wishes: Wishes,
    /// Which entry of the configuration reads which gateway.
    pub claims: Claims,
}
