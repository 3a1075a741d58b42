//! What a simulated gateway is like, and what it may suffer from.

use std::time::Duration;

use jiff::SignedDuration;

use crate::simulator::pages::Pages;
use crate::simulator::tls::{Key, Transport};

/// What a gateway is like when all is well.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// What it answers.
    pub pages: Pages,
    /// Its serial number, if not the recorded one.
    pub serial: Option<String>,
    /// How it is spoken to.
    pub transport: Transport,
    /// Puts the world's numbers into the pages. Otherwise they are served as they were recorded.
    pub patch: bool,
    /// Wants the session's cookie for `/ivp/*`, even beside a token.
    pub cookie_required: bool,
    /// How long each page takes.
    pub delay: Duration,
    /// Is away for two minutes from 23:01 UTC, every night.
    pub nightly_restart: bool,
}

impl GatewayOptions {
    /// A gateway that lives: TLS from firmware 7 on, plain http before.
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

    /// A gateway that says again what was recorded.
    pub fn recorded(pages: Pages) -> Self {
        Self { patch: false, ..Self::new(pages) }
    }
}

/// What can be wrong with a whole gateway. What goes wrong with single answers is a
/// [`Fault`](crate::simulator::Fault).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Another gateway is at this address.
    OtherSerial(String),
    /// It shows another key.
    ReplacedKey,
    /// It refuses every token, and its sessions are gone.
    TokensRefused,
    /// `check_jwt` passes and every page says 401.
    DataRefused,
    /// `check_jwt` passes and every page says 500.
    PagesFail,
    /// Its clock is ahead by this.
    ClockOff(SignedDuration),
    /// Connections are refused.
    Refusing,
    /// Connections are accepted and never answered.
    Silent,
    /// It has just booted and counts nothing.
    Zeros,
    /// Its production transformer is not around the wire: the meter shows nothing of what the inverters report.
    BlindMeter,
    /// Another firmware, `D8.3.5433` say; its sessions are gone.
    Firmware(String),
}
