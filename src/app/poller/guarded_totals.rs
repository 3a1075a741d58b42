//! The guarded totals of the gateway that is polled, and their events until these are reported.

use std::sync::Arc;

use tokio::time::Instant;

use super::Shared;
use super::counter_file::CounterFile;
use crate::base::reading::{Counter, Event, Reading};

/// The guarded totals of the gateway that is polled.
#[derive(Debug)]
pub(super) struct GuardedTotals {
    shared: Arc<Shared>,
    file: Option<CounterFile>,
    /// Events about totals and inverters that have not been reported yet.
    events: Vec<Event>,
}

impl GuardedTotals {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, file: None, events: Vec::new() }
    }

    /// Uses the counter file `file` for the gateway with the same serial number.
    pub(super) fn set_file(&mut self, file: CounterFile) {
        self.file = Some(file);
    }

    /// Returns `reading` with guarded totals and with the energy of the day.
    pub(super) async fn guard(&mut self, mut reading: Reading) -> Reading {
        let serial = &reading.gateway.serial;
        let file = match self.file.take() {
            Some(file) if file.serial() == serial => self.file.insert(file),
            _ => self.file.insert(CounterFile::new(serial)),
        };
        file.load(&self.shared.state).await;
        file.apply_reset(&self.shared.state).await;
        self.events.extend(file.apply(&mut reading, &self.shared.zone, Instant::now()));
        let held = file.held().into_iter().map(Counter::name).collect();
        self.shared.latest.put_held(&reading.gateway.serial, held);
        reading
    }

    /// Returns the events since the last call, and writes the counter file if that is due.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        let day = self.shared.clock.now().to_zoned(self.shared.zone.clone()).date();
        if let Some(file) = &mut self.file {
            file.save_when_due(&self.shared.state, day, Instant::now());
        }
        std::mem::take(&mut self.events)
    }

    /// Starts writing the totals of a gateway that was replaced by another, and forgets them.
    pub(super) fn gateway_replaced(&mut self) {
        if let Some(mut file) = self.file.take() {
            file.save(&self.shared.state);
        }
    }

    /// Writes the counter file, within a time limit.
    pub(super) async fn finish(&mut self) {
        let Some(file) = &mut self.file else { return };
        file.save(&self.shared.state);
        if !file.finish(&self.shared.state).await {
            tracing::warn!("the disk does not respond; the newest totals may not have been saved");
        }
    }
}
