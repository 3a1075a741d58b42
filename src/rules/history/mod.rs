//! Makes the history of a gateway from its readings: the curve of 5-minute samples, and the energy of each day.
//!
//! Values that are not on disk yet stay here. When the clock jumps, that part is discarded and the history continues from what is
//! on disk: totals lose nothing by it, and the curve at most 15 minutes. So a time is trusted once it has lasted for 15
//! minutes, and neither a wrong time nor its correction counts anything twice.

mod curve;
mod local_day;
pub mod periods;
pub mod so_far;
pub mod sums;
mod totals;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use self::curve::Curve;
use self::local_day::LocalDay;
use self::totals::Totals;
use crate::base::clock::Moment;
use crate::base::reading::{Counter, PhaseValues, Reading, Serial};
use crate::base::units::WattHours;
use crate::io::history::rows::{Batch, Counted, Kind};
use crate::rules::counters::newest_stamp;

/// The smallest difference between the wall clock and the uptime that is a jump. Network time corrects less by slewing.
const JUMP: SignedDuration = SignedDuration::from_mins(1);
/// The age of the gateway's measurements up to which its clock confirms ours: those of inverters are old at night.
const CONFIRMED: SignedDuration = SignedDuration::from_hours(24);

/// The history of one gateway that is not on disk yet.
#[derive(Clone, Debug)]
pub struct GatewayHistory {
    serial: Serial,
    curve: Curve,
    totals: Totals,
    /// The day of the newest reading.
    today: Option<LocalDay>,
    /// The difference between the wall clock and the uptime at the last reading.
    offset: Option<SignedDuration>,
    /// The local date of the newest reading whose time the gateway's clock confirms.
    confirmed: Option<(Date, Timestamp)>,
    /// The date on which old samples were deleted last.
    deleted: Option<Date>,
}

impl GatewayHistory {
    /// Creates the history of a gateway, whose totals on disk are not known yet.
    pub fn new(serial: Serial) -> Self {
        Self {
            serial,
            curve: Curve::default(),
            totals: Totals::default(),
            today: None,
            offset: None,
            confirmed: None,
            deleted: None,
        }
    }

    /// Returns whether the totals on disk are known. Before that, nothing can be written.
    pub const fn is_loaded(&self) -> bool {
        self.totals.is_loaded()
    }

    /// Continues from the totals on disk.
    pub fn join(&mut self, stored: Vec<Counted>, zone: &TimeZone) {
        self.totals.join(stored, zone);
    }

    /// Records a reading, of a gateway that is read every `interval`, when the clocks show `now`. Returns whether the clock
    /// has jumped since the last reading.
    pub fn see(
        &mut self,
        reading: &Reading,
        interval: SignedDuration,
        now: &Moment,
        zone: &TimeZone,
    ) -> bool {
        let up = SignedDuration::try_from(now.up).unwrap_or(SignedDuration::ZERO);
        let offset = now.wall.duration_since(Timestamp::UNIX_EPOCH) - up;
        let before = self.offset.replace(offset);
        let jumped = before.is_some_and(|before| (offset - before).abs() >= JUMP);
        if jumped {
            self.curve.discard();
            self.totals.discard();
        }
        let today = self.today.take().filter(|day| day.contains(reading.time));
        let today = today.unwrap_or_else(|| LocalDay::of(reading.time, zone));
        self.curve.see(reading, interval, today.midnight);
        self.see_totals(reading, &today, zone);
        let is_confirmed =
            newest_stamp(reading).is_some_and(|stamp| reading.time.duration_since(stamp).abs() <= CONFIRMED);
        if is_confirmed {
            self.confirmed = Some((today.date, reading.time));
        }
        self.today = Some(today);
        jumped
    }

    fn see_totals(&mut self, reading: &Reading, today: &LocalDay, zone: &TimeZone) {
        let at = (reading.time, today);
        let mut see = |kind, quantity, device: &str, total: Option<WattHours>, estimated| {
            if let Some(total) = total {
                self.totals.see((kind, quantity, device), total, estimated, at, zone);
            }
        };
        let is_estimated = reading.storage.as_ref().is_some_and(|storage| storage.energy_estimated);
        for (quantity, total) in Counter::ALL.into_iter().zip(curve::totals(reading)) {
            let estimated = is_estimated && matches!(quantity, Counter::Charged | Counter::Discharged);
            see(Kind::Site, quantity, "", total, estimated);
        }
        for phase in &reading.phases {
            let value = |group: &Option<PhaseValues>, field: fn(&PhaseValues) -> Option<WattHours>| {
                group.as_ref().and_then(field)
            };
            let totals = [
                value(&phase.production, |values| values.energy_wh),
                value(&phase.consumption, |values| values.energy_wh),
                value(&phase.grid, |values| values.import_wh),
                value(&phase.grid, |values| values.export_wh),
                value(&phase.storage, |values| values.charged_wh),
                value(&phase.storage, |values| values.discharged_wh),
            ];
            for (quantity, total) in Counter::ALL.into_iter().zip(totals) {
                see(Kind::Phase, quantity, &phase.phase, total, false);
            }
        }
        for inverter in &reading.inverters {
            let device = inverter.serial.as_str();
            see(Kind::Inverter, Counter::Production, device, inverter.energy_wh, inverter.energy_estimated);
        }
    }

    /// Takes what is to be written: the slots that are over, or all of them `at_the_end`. Samples older than `keep` are
    /// deleted once a day, if the gateway's clock agrees with ours about the day.
    pub fn take(&mut self, at_the_end: bool, keep: SignedDuration) -> Batch {
        let due = self.confirmed.filter(|(date, _)| self.deleted != Some(*date));
        self.deleted = due.map(|(date, _)| date).or(self.deleted);
        let keep_from = due.and_then(|(_, time)| time.checked_sub(keep).ok());
        let (samples, steps) = (self.curve.take(at_the_end), self.totals.take());
        Batch { gateway: self.serial.clone(), samples, steps, keep_from }
    }

    /// Records that the last batch was written.
    pub fn written(&mut self) {
        self.totals.written(true);
    }

    /// Takes the last batch back, because it was not written.
    pub fn not_written(&mut self, batch: Batch) {
        self.totals.written(false);
        self.curve.put_back(batch.samples);
        if batch.keep_from.is_some() {
            self.deleted = None;
        }
    }

    /// Returns the number of 5-minute samples that were dropped, because they could not be written for two days.
    pub fn dropped(&mut self) -> u64 {
        self.curve.dropped()
    }
}

#[cfg(test)]
mod tests;
