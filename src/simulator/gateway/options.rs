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
    /// Whether to patch the numbers of the simulated house into the pages.
    pub patch: bool,
    /// Whether `/ivp/*` requires the session cookie even with a token.
    pub cookie_required: bool,
    /// The delay of each page.
    pub delay: Duration,
    /// Whether to restart every night at 23:01 UTC for two minutes.
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
    /// It shows another key.
    ReplacedKey,
    /// It refuses every token, and its sessions are gone.
    TokensRefused,
    /// `check_jwt` succeeds and every page returns 401.
    DataRefused,
    /// `check_jwt` succeeds and every page returns 500.
    PagesFail,
    /// Its clock is ahead by this much.
    ClockOff(SignedDuration),
    /// Connections are refused.
    Refusing,
    /// Connections are accepted, but get no response.
    Silent,
    /// It has just restarted, and every value is 0.
    Zeros,
    /// Its production current transformer is not around the wire: the meter measures no production, but the inverters do.
    BlindMeter,
    /// It has another firmware, such as `D8.3.5433`, and its sessions have ended.
    Firmware(String),
}
