//! The configured gateways, each opened at most once by a command.

use super::Context;
use crate::app::config;
use crate::app::poller::trouble::Trouble;
use crate::base::reading::Serial;
use crate::io::gateway::pinned_key::PinnedKeys;
use crate::io::gateway::{self, Connected, OpenError};
use crate::io::state_dir::StateDir;

/// Opens one gateway.
pub(super) async fn open(
    context: &Context,
    settings: &config::Gateway,
    state: &StateDir,
) -> Result<Connected, Trouble> {
    let mut keys = PinnedKeys::new(state.clone());
    Ok(gateway::open(&settings.target(), &mut keys, context.clock.now()).await?)
}

/// The configured gateways, opened at the first use.
#[derive(Debug, Default)]
pub(super) struct OpenedGateways(Option<Vec<Result<Connected, Trouble>>>);

impl OpenedGateways {
    /// Returns the gateways in the order of the configuration, or the error for each that could not be opened.
    pub(super) async fn all(
        &mut self,
        context: &Context,
        state: &StateDir,
    ) -> &mut [Result<Connected, Trouble>] {
        if self.0.is_none() {
            let mut opened = Vec::new();
            for settings in &context.config.gateways {
                opened.push(open(context, settings, state).await);
            }
            self.0 = Some(opened);
        }
        self.0.as_deref_mut().unwrap_or_default()
    }

    /// Returns the serial numbers of the gateways that could be opened.
    pub(super) async fn serials(&mut self, context: &Context, state: &StateDir) -> Vec<Serial> {
        let all = self.all(context, state).await;
        all.iter().filter_map(|one| one.as_ref().ok()).map(|gateway| gateway.serial().clone()).collect()
    }

    /// Returns the gateway `serial` if it could be opened.
    pub(super) async fn find(
        &mut self,
        serial: &Serial,
        context: &Context,
        state: &StateDir,
    ) -> Option<&mut Connected> {
        let all = self.all(context, state).await;
        all.iter_mut().filter_map(|one| one.as_mut().ok()).find(|gateway| gateway.serial() == serial)
    }

    /// Returns the gateway `serial`, or the reason that it could not be opened.
    pub(super) async fn into_found(
        mut self,
        serial: &Serial,
        context: &Context,
        state: &StateDir,
    ) -> Result<Connected, Trouble> {
        self.all(context, state).await;
        let mut trouble = OpenError::NotFound.into();
        for one in self.0.unwrap_or_default() {
            trouble = match one {
                Ok(gateway) if gateway.serial() == serial => return Ok(gateway),
                Ok(gateway) => {
                    let (address, found) = (gateway.address(), gateway.serial().clone());
                    OpenError::OtherGateway { address, found, wanted: serial.clone() }.into()
                }
                Err(error) => error,
            };
        }
        Err(trouble)
    }
}
