//! The gateway of one `[[gateway]]` table: opened, identified, and reserved for one poller.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::claims::Claim;
use super::newcomers::Newcomers;
use super::trouble::Trouble;
use crate::app::config;
use crate::base::reading::Serial;
use crate::io::gateway::pinned_key::PinnedKeys;
use crate::io::gateway::{self, Connected, OpenError, info};

/// The interval at which `/info` of a responding gateway is read again, to detect a new firmware.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(3600);

/// The gateway of one `[[gateway]]` table.
#[derive(Debug)]
pub(super) struct PolledGateway {
    settings: config::Gateway,
    shared: Arc<Shared>,
    keys: PinnedKeys,
    connected: Option<Connected>,
    /// Set after a failed poll: `/info` must be read again before any other page.
    must_identify: bool,
    /// Reserves the gateway for this poller.
    claim: Option<Claim>,
    newcomers: Newcomers,
    /// The serial number of the last gateway that responded, kept while it does not respond.
    last_serial: Option<Serial>,
}

impl PolledGateway {
    pub(super) fn new(settings: config::Gateway, shared: Arc<Shared>) -> Self {
        Self {
            settings,
            keys: PinnedKeys::new(shared.state.clone()),
            shared,
            connected: None,
            must_identify: false,
            claim: None,
            newcomers: Newcomers::new(Instant::now()),
            last_serial: None,
        }
    }

    pub(super) const fn settings(&self) -> &config::Gateway {
        &self.settings
    }

    /// Returns the serial number of the last gateway that responded.
    pub(super) const fn last_serial(&self) -> Option<&Serial> {
        self.last_serial.as_ref()
    }

    /// Returns the gateway, unless it is not connected.
    pub(super) fn connected(&mut self) -> Result<&mut Connected, Trouble> {
        self.connected.as_mut().ok_or(Trouble::Nothing)
    }

    /// Returns the gateway, unless it is not connected, and its settings.
    pub(super) fn connected_and_settings(&mut self) -> Result<(&mut Connected, &config::Gateway), Trouble> {
        Ok((self.connected.as_mut().ok_or(Trouble::Nothing)?, &self.settings))
    }

    /// Returns whether `/info` must be read again before any other page.
    pub(super) const fn must_identify(&self) -> bool {
        self.must_identify
    }

    /// Connects to the gateway, or reads `/info` again if that is due.
    pub(super) async fn connect(&mut self) -> Result<(), Trouble> {
        if let Some(gateway) = &mut self.connected
            && (self.must_identify || gateway.identified_at().elapsed() >= IDENTIFY_INTERVAL)
        {
            match gateway.confirm().await {
                Ok(()) => {}
                Err(error) if error.is_about_identity() => self.connected = None,
                // Only `/info` fails; the key of the connection still identifies the gateway.
                Err(error) if !self.must_identify && error.is_about_one_page() => {
                    tracing::debug!(%error, "cannot read /info again; reading the other pages anyway");
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.keys.catch_up().await;
        if self.connected.is_none() {
            let now = self.shared.clock.now();
            let opened = gateway::open(&self.settings.target(), &mut self.keys, now).await;
            if let Some(outcome) = info_outcome(&opened) {
                self.shared.tally.count_request(info::PATH, outcome);
            }
            self.connected.insert(opened?).count_in(&self.shared.tally);
        }
        self.must_identify = false;
        Ok(())
    }

    /// Checks that the connected gateway may be polled, and reserves it. Returns the serial number of the gateway that it
    /// has replaced, if it has.
    pub(super) fn admit(&mut self) -> Result<Option<Serial>, Trouble> {
        let gateway = self.connected()?;
        let (now, address) = (gateway.serial().clone(), gateway.address());
        if !self.newcomers.admit(&now, Instant::now())
            && let Some(before) = self.last_serial.clone()
        {
            self.connected = None;
            return Err(Trouble::ManyGateways { address, before, now });
        }
        self.reserve(&now)?;
        let before = self.last_serial.replace(now.clone());
        Ok(before.filter(|before| *before != now))
    }

    /// Reserves the gateway `serial`, or returns an error if another `[[gateway]]` table polls it already.
    fn reserve(&mut self, serial: &Serial) -> Result<(), Trouble> {
        if self.claim.as_ref().is_some_and(|claim| claim.serial() == serial) {
            return Ok(());
        }
        // This is another gateway than before; release that one.
        self.claim = None;
        let ours = self.settings.to_string();
        match self.shared.claims.claim(serial, &ours) {
            Ok(claim) => {
                self.claim = Some(claim);
                Ok(())
            }
            Err(first) => Err(Trouble::ReadAlready { serial: serial.clone(), first, second: ours }),
        }
    }

    /// Logs that the current gateway has replaced another one, within the rate limit.
    pub(super) fn log_replacement(&mut self, message: &str) {
        if self.newcomers.may_report(Instant::now()) {
            tracing::warn!("{message}");
        } else {
            tracing::debug!("{message}");
        }
    }

    /// Records a failed poll: the gateway is identified again before the next one, and located again if needed.
    pub(super) fn poll_failed(&mut self, trouble: &Trouble) {
        self.must_identify = true;
        if self.must_locate(trouble) {
            self.connected = None;
        }
    }

    /// Returns whether the gateway must be located again: another gateway responds, or the address of one that was found
    /// by its host name or by mDNS may have changed.
    fn must_locate(&self, trouble: &Trouble) -> bool {
        let Trouble::Gateway(error) = trouble else { return false };
        let may_move = self.settings.address.as_ref().is_none_or(|address| address.ip().is_none());
        let lost = matches!(error, gateway::Error::Unreachable { .. } | gateway::Error::Unidentified { .. });
        error.is_about_identity() || (may_move && lost)
    }
}

/// Returns the outcome of reading `/info` of a gateway to open, or `None` if it was not read.
const fn info_outcome(opened: &Result<Connected, OpenError>) -> Option<&'static str> {
    match opened {
        Ok(_) | Err(OpenError::OtherGateway { .. } | OpenError::SeveralKeys { .. }) => Some("ok"),
        Err(OpenError::Gateway(error)) => Some(error.kind()),
        Err(_) => None,
    }
}
