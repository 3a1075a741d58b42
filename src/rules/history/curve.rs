//! The curve of a day: mean power and energy of each slot of 5 minutes.
//!
//! Powers are averaged over time, and steps of totals are spread evenly over the time between two readings. Rounded totals
//! at the borders of the slots make sure that the slots add up to the step of the total. Over a gap nothing is spread.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::base::reading::Reading;
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::history::rows::{SLOT_S, Sample};

/// The slots in memory while they cannot be written: two days.
const MOST_SLOTS: usize = 576;
/// The time between two readings that is not a gap yet, whatever the interval: polls of a gateway that does not respond
/// become as rare as every 5 minutes.
const SHORTEST_GAP: SignedDuration = SignedDuration::from_mins(10);

/// The power and energy of a slot so far. Times are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slot {
    /// Power times time, and the time.
    power: [(f64, i64); 4],
    /// Whole watt-hours, and the time.
    energy: [(i64, i64); 6],
    soc: Option<Percent>,
    estimated: bool,
}

/// The curve of one gateway.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    power: [Option<(Timestamp, f64)>; 4],
    totals: [Option<(Timestamp, i64)>; 6],
    newest: Option<Timestamp>,
    /// By their beginning, in seconds since 1970.
    slots: BTreeMap<i64, Slot>,
    /// The samples of slots that are over and could not be written yet.
    unwritten: Vec<Sample>,
    /// The number of slots that were dropped because they could not be written.
    dropped: u64,
}

impl Curve {
    /// Records a reading, of the day that began at `midnight`. A time of more than two intervals between two readings is a gap.
    pub(super) fn see(&mut self, reading: &Reading, interval: SignedDuration, midnight: Timestamp) {
        let at = reading.time;
        if self.newest.is_some_and(|newest| at <= newest) {
            self.discard();
        }
        let gap = SHORTEST_GAP.max(interval * 2);
        for (n, power) in powers(reading).into_iter().enumerate() {
            let Some(power) = power.map(Watts::value) else { continue };
            let Some(last) = self.power.get_mut(n) else { continue };
            if let Some((from, before)) = last.replace((at, power))
                && at.duration_since(from) <= gap
            {
                self.add_power(n, (from, before), (at, power));
            }
        }
        for (n, total) in totals(reading).into_iter().enumerate() {
            let Some(total) = total.map(WattHours::whole) else { continue };
            let Some(last) = self.totals.get_mut(n) else { continue };
            if let Some((from, before)) = last.replace((at, total))
                && at.duration_since(from) <= gap
                && total >= before
            {
                // As in the totals of the days, a step over midnight belongs to the new day.
                let middle = from.max(midnight);
                self.add_energy(n, (from, before), (middle, before));
                self.add_energy(n, (middle, before), (at, total));
            }
        }
        self.note(reading);
        self.newest = Some(at);
        while self.slots.len() > MOST_SLOTS {
            self.slots.pop_first();
            self.dropped += 1;
        }
    }

    fn note(&mut self, reading: &Reading) {
        let Some(storage) = &reading.storage else { return };
        // A reading at the border belongs to the slot that ends there.
        let start = slot_of(reading.time.as_millisecond() - 1);
        if let Some(slot) = self.slots.get_mut(&start) {
            slot.soc = storage.soc_percent.or(slot.soc);
            slot.estimated |= storage.energy_estimated;
        }
    }

    fn add_power(&mut self, n: usize, from: (Timestamp, f64), to: (Timestamp, f64)) {
        let (begin, end) = (from.0.as_millisecond(), to.0.as_millisecond());
        #[expect(clippy::cast_precision_loss, reason = "at most some hours")]
        let at = |time: i64| from.1 + (to.1 - from.1) * ((time - begin) as f64 / (end - begin) as f64);
        for (start, left, right) in pieces(begin, end) {
            let slot = self.slots.entry(start).or_default();
            if let Some((sum, time)) = slot.power.get_mut(n) {
                #[expect(clippy::cast_precision_loss, reason = "at most 300 s")]
                let length = (right - left) as f64;
                *sum += f64::midpoint(at(left), at(right)) * length;
                *time += right - left;
            }
        }
    }

    fn add_energy(&mut self, n: usize, from: (Timestamp, i64), to: (Timestamp, i64)) {
        let (begin, end) = (from.0.as_millisecond(), to.0.as_millisecond());
        let at = |time: i64| from.1 + (to.1 - from.1) * (time - begin) / (end - begin);
        for (start, left, right) in pieces(begin, end) {
            let slot = self.slots.entry(start).or_default();
            if let Some((sum, time)) = slot.energy.get_mut(n) {
                *sum += at(right) - at(left);
                *time += right - left;
            }
        }
    }

    /// Forgets everything, because the clock has jumped.
    pub(super) fn discard(&mut self) {
        let unwritten = std::mem::take(&mut self.unwritten);
        *self = Self { dropped: self.dropped, unwritten, ..Self::default() };
    }

    /// Takes samples back that could not be written, and keeps the newest of them.
    pub(super) fn put_back(&mut self, samples: Vec<Sample>) {
        self.unwritten.splice(0..0, samples);
        let surplus = self.unwritten.len().saturating_sub(MOST_SLOTS);
        self.unwritten.drain(..surplus);
        self.dropped += u64::try_from(surplus).unwrap_or_default();
    }

    /// Takes the slots that are over, or all `at_the_end`.
    pub(super) fn take(&mut self, at_the_end: bool) -> Vec<Sample> {
        let newest = self.newest.map_or(i64::MIN, Timestamp::as_second);
        let open = if at_the_end { BTreeMap::new() } else { self.slots.split_off(&(newest - SLOT_S + 1)) };
        let over = std::mem::replace(&mut self.slots, open);
        let mut samples = std::mem::take(&mut self.unwritten);
        samples.extend(over.into_iter().filter_map(|(start, slot)| slot.sample(start)));
        samples
    }

    /// Returns the number of slots that were dropped since the last call.
    pub(super) fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

impl Slot {
    /// Returns the sample of this slot, if anything was measured.
    fn sample(&self, start: i64) -> Option<Sample> {
        let times = self.power.iter().map(|(_, time)| *time).chain(self.energy.iter().map(|(_, time)| *time));
        let measured = times.max().filter(|time| *time > 0)?;
        // A part of the time is not the whole: a total that was missing for a while is absent.
        let is_whole = |time: i64| time > 0 && time * 10 >= measured * 9;
        #[expect(clippy::cast_precision_loss, reason = "at most 300 s")]
        let power =
            self.power.map(|(sum, time)| if is_whole(time) { Watts::new(sum / time as f64) } else { None });
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 Wh")]
        let energy =
            self.energy.map(|(sum, time)| if is_whole(time) { WattHours::new(sum as f64) } else { None });
        let seconds = u16::try_from((measured + 500) / 1000).unwrap_or(u16::MAX).max(1);
        let start = Timestamp::from_second(start).ok()?;
        Some(Sample { start, seconds, power, energy, soc: self.soc, estimated: self.estimated })
    }
}

/// Returns the powers of the site, in the order of the samples.
fn powers(reading: &Reading) -> [Option<Watts>; 4] {
    [
        reading.production.as_ref().and_then(|production| production.power_w),
        reading.consumption.as_ref().and_then(|consumption| consumption.power_w),
        reading.grid.as_ref().and_then(|grid| grid.power_w),
        reading.storage.as_ref().and_then(|storage| storage.power_w),
    ]
}

/// Returns the totals of the site, in the order of [`Counter::ALL`](crate::base::reading::Counter::ALL).
pub(super) fn totals(reading: &Reading) -> [Option<WattHours>; 6] {
    let (grid, storage) = (reading.grid.as_ref(), reading.storage.as_ref());
    [
        reading.production.as_ref().and_then(|production| production.energy_wh),
        reading.consumption.as_ref().and_then(|consumption| consumption.energy_wh),
        grid.and_then(|grid| grid.import_wh),
        grid.and_then(|grid| grid.export_wh),
        storage.and_then(|storage| storage.charged_wh),
        storage.and_then(|storage| storage.discharged_wh),
    ]
}

/// Returns the beginning of the slot, in seconds, that contains a time in milliseconds.
const fn slot_of(millisecond: i64) -> i64 {
    millisecond.div_euclid(SLOT_S * 1000) * SLOT_S
}

/// Cuts a time at the borders of the slots: the beginning of each slot, and the part of the time in it.
fn pieces(begin: i64, end: i64) -> impl Iterator<Item = (i64, i64, i64)> {
    let mut left = begin;
    std::iter::from_fn(move || {
        if left >= end {
            return None;
        }
        let start = slot_of(left);
        let right = end.min((start + SLOT_S) * 1000);
        let piece = (start, left, right);
        left = right;
        Some(piece)
    })
}
