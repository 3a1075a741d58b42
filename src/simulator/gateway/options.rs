//! The options of a simulated gateway, and its possible conditions.

use std::time::Duration;

use jiff::SignedDuration;

use crate::simulator::pages::Pages;
use crate::simulator::tls::{Key, Transport};

/// The options of a gateway without faults.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// The pages that it serves.
    pub pages: Pages,
    /// The serial number, if not the recorded one.
    pub serial: Option<String>,
    /// The transport.
    pub transport: Transport,
    /// Patches the numbers of the simulated house into the pages.
    pub patch: bool,
    /// The number of inverters, counted from the end of the list, that have stopped reporting: they keep their recorded rows.
    pub silent_inverters: usize,
    /// `true` if `/ivp/*` requires the session cookie even with a token.
    pub cookie_required: bool,
    /// The delay of each page.
    pub delay: Duration,
    /// Restarts every night at 23:01 UTC for two minutes.
    pub nightly_restart: bool,
}

impl GatewayOptions {
    /// Returns the options for a gateway with live numbers: TLS since firmware 7, plain http before.
    pub fn new(pages: Pages) -> Self {
        let transport = if pages.major() >= 7 { Transport::Tls(Key::First) } else { Transport::Plain };
        Self {
            pages,
            serial: None,
            transport,
            patch: true,
            silent_inverters: 0,
            cookie_required: false,
            delay: Duration::ZERO,
            nightly_restart: false,
        }
    }

    /// Returns the options for a gateway that serves the recorded pages unchanged.
    pub fn recorded(pages: Pages) -> Self {
        Self { patch: false, ..Self::new(pages) }
    }
}

/// A condition of a whole gateway. Single responses have a [`Fault`](crate::simulator::Fault).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Another gateway responds at this address.
    OtherSerial(String),
    /// Another key is shown.
    ReplacedKey,
    /// Every token is refused, and all sessions have ended.
    TokensRefused,
    /// `check_jwt` succeeds and every page returns 401.
    DataRefused,
    /// `check_jwt` succeeds and every page returns 500.
    PagesFail,
    /// The clock is ahead by this much.
    ClockOff(SignedDuration),
    /// Connections are refused.
    Refusing,
    /// Connections are accepted, but get no response.
    Silent,
    /// Every value is 0, as after a restart.
    Zeros,
    /// The production current transformer is not around the wire: the meter measures no production, but the inverters do.
    BlindMeter,
    /// The firmware is another one, such as `D8.3.5433`, and all sessions have ended.
    Firmware(String),
}
