//! The values of one gateway that were sent, and those that have to be sent.

use tokio::time::Instant;

use super::announced::AnnouncedTopics;
use super::options::Options;
use super::published::Published;
use crate::app::latest::{Availability, Gateway};
use crate::base::message::Message;
use crate::base::reading::Serial;
use crate::output::topics;

/// The numbers of the last writes of one gateway that were sent on this connection; 0 for none.
#[derive(Debug, Default)]
pub(super) struct GatewayState {
    availability: u64,
    token: u64,
    reading: u64,
    /// The number of the last reading that was searched for entities to announce.
    pub(super) looked_through: u64,
    pub(super) published: Published,
}

impl GatewayState {
    /// Makes everything due.
    pub(super) fn forget(&mut self) {
        (self.availability, self.token, self.reading) = (0, 0, 0);
        self.published.forget_state();
    }

    /// Makes the document due.
    pub(super) fn forget_document(&mut self) {
        self.reading = 0;
    }

    /// Returns the messages with new values, without announcements.
    pub(super) fn news(
        &mut self,
        options: &Options,
        serial: &Serial,
        known: &Gateway,
        now: Instant,
        announced: &mut AnnouncedTopics,
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
        // A consumer would take an old reading for a fresh one.
        if let Some(reading) = known.fresh_reading().filter(|it| it.number > self.reading) {
            self.reading = reading.number;
            messages.extend(self.published.state(options, &reading.value, now, announced));
        }
        messages
    }
}
