//! What was sent of one gateway, and what is owed of it.

use tokio::time::Instant;

use super::content::{Options, Published};
use super::memory::Memory;
use crate::app::latest::{Availability, Gateway};
use crate::base::message::Message;
use crate::base::reading::Serial;
use crate::output::topics;

/// What was sent of one gateway on this connection: the numbers on the board, 0 for nothing.
#[derive(Debug, Default)]
pub(super) struct Sent {
    availability: u64,
    token: u64,
    reading: u64,
    /// The last reading that was looked through for something to announce.
    pub(super) looked_through: u64,
    pub(super) published: Published,
}

impl Sent {
    /// Begins again: everything is due.
    pub(super) fn forget(&mut self) {
        (self.availability, self.token, self.reading) = (0, 0, 0);
        self.published.forget_state();
    }

    /// The document is due again, with what is due anyway.
    pub(super) fn forget_document(&mut self) {
        self.reading = 0;
    }

    /// What is owed of the gateway, announcements apart.
    pub(super) fn news(
        &mut self,
        options: &Options,
        serial: &Serial,
        known: &Gateway,
        now: Instant,
        memory: &mut Memory,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        if let Some(availability) = known.availability.as_ref().filter(|it| it.number > self.availability) {
            self.availability = availability.number;
            let online = *availability.value == Availability::Online;
            messages.push(topics::availability(&options.prefix, serial, online));
        }
        if let Some(token) = known.token.as_ref().filter(|it| it.number > self.token) {
            self.token = token.number;
            messages.push(topics::token(&options.prefix, serial, &*token.value));
        }
        // An old reading would look fresh to whoever takes it.
        if let Some(reading) = known.fresh_reading().filter(|it| it.number > self.reading) {
            self.reading = reading.number;
            messages.extend(self.published.state(options, &reading.value, now, memory));
        }
        messages
    }
}
