//! The state that the pollers of one configuration share.

use std::sync::Arc;

use fastrand::Rng;
use tokio::sync::Mutex;

use crate::app::config::{self, Config};
use crate::app::latest::Latest;
use crate::app::poller::Shared;
use crate::app::poller::claims::Claims;
use crate::app::requests::Requests;
use crate::app::status::StatusList;
use crate::app::token_provider::ending::Ending;
use crate::app::token_provider::{self, TokenProvider};
use crate::base::clock::Clock;
use crate::base::heartbeat::Heartbeats;
use crate::base::tally::Tally;
use crate::io::state_dir::StateDir;
use crate::rules::logins::newcomer::Place;

/// Returns the configured gateways, as the token provider needs them.
pub(super) fn places(config: &Config) -> Vec<Place> {
    let place = |gateway: &config::Gateway| Place {
        serial: gateway.serial.clone(),
        address: gateway.address.as_ref().map(ToString::to_string),
    };
    config.gateways.iter().map(place).collect()
}

/// Creates what the pollers of `config` share.
pub fn shared(config: &Config, state: &StateDir, clock: &Clock, rng: Rng, ending: &Ending) -> Shared {
    let settings = token_provider::Settings {
        cloud: config.cloud.clone(),
        account: config.account.clone(),
        renew_short_tokens: config.renew_short_tokens,
        several_gateways: config.gateways.len() > 1,
    };
    let mut token_provider = TokenProvider::new(state.clone(), clock.clone(), settings, rng);
    token_provider.set_gateways(places(config));
    token_provider.set_ending(ending.clone());
    Shared {
        state: state.clone(),
        clock: clock.clone(),
        zone: config.zone.clone(),
        token_provider: Arc::new(Mutex::new(token_provider)),
        ending: ending.clone(),
        latest: Latest::new(),
        statuses: StatusList::new(),
        requests: Requests::new(),
        claims: Claims::default(),
        tally: Tally::default(),
        heartbeats: Heartbeats::default(),
    }
}
