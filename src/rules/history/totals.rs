//! The energy of each day, from the guarded lifetime totals.
//!
//! Every step of a total is added to the day on which it was read, so the days always add up to what was counted. After a
//! time without readings, the whole step belongs to the first day after it, which then covers more than a day.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::local_day::LocalDay;
use crate::base::reading::Counter;
use crate::base::units::WattHours;
use crate::io::history::rows::{Counted, Growth, Kind, Series, Step};

/// The longest gap around midnight whose energy belongs to the new day alone, as in `counters/days.rs`.
pub(super) const GAP: SignedDuration = SignedDuration::from_hours(1);
/// More power than the inverters of any gateway have, for a day longer than has passed: a step beyond it is another total.
const MOST_POWER_W: i64 = 200_000;
const SLACK_S: i64 = 86_400;

/// A total at one time, in whole watt-hours as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    total: i64,
    at: Timestamp,
}

/// The step of a counter that is not on disk yet.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pending {
    /// The total on disk; `None` if the counter is not there.
    from: Option<Point>,
    growth: Vec<Growth>,
}

/// A counter.
#[derive(Clone, Debug)]
struct Book {
    /// The first total of this run, until the total on disk is known.
    unjoined: Option<Point>,
    last: Point,
    pending: Pending,
    /// The growth that is being written.
    sending: Option<Pending>,
}

/// The counters of one gateway.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    books: BTreeMap<(Kind, Counter), BTreeMap<Box<str>, Book>>,
    /// The totals on disk of counters that have not been read yet; `None` until they are loaded.
    stored: Option<BTreeMap<Series, Point>>,
}

impl Totals {
    /// Returns whether the totals on disk are known.
    pub(super) const fn is_loaded(&self) -> bool {
        self.stored.is_some()
    }

    /// Continues from the totals on disk.
    pub(super) fn join(&mut self, stored: Vec<Counted>, zone: &TimeZone) {
        let mut stored: BTreeMap<Series, Point> = stored
            .into_iter()
            .map(|counted| (counted.series, Point { total: counted.total.whole(), at: counted.at }))
            .collect();
        for ((kind, quantity), devices) in &mut self.books {
            for (device, book) in devices {
                let series = Series { kind: *kind, device: device.clone(), quantity: *quantity };
                book.join(stored.remove(&series), zone);
            }
        }
        self.stored = Some(stored);
    }

    /// Records a total that was read at `at`.
    pub(super) fn see(
        &mut self,
        (kind, quantity, device): (Kind, Counter, &str),
        total: WattHours,
        estimated: bool,
        (at, today): (Timestamp, &LocalDay),
        zone: &TimeZone,
    ) {
        let now = Point { total: total.whole(), at };
        let devices = self.books.entry((kind, quantity)).or_default();
        if let Some(book) = devices.get_mut(device) {
            book.grow(book.last, now, today, zone);
            book.last = now;
            book.mark(estimated);
            return;
        }
        let series = Series { kind, device: device.into(), quantity };
        let mut book = Book { unjoined: Some(now), last: now, pending: Pending::default(), sending: None };
        if let Some(stored) = &mut self.stored {
            book.join(stored.remove(&series), zone);
        }
        book.mark(estimated);
        devices.insert(series.device, book);
    }

    /// Forgets everything that is not on disk, because the clock has jumped: the next totals continue from those on disk.
    pub(super) fn discard(&mut self) {
        for devices in self.books.values_mut() {
            devices.retain(|_, book| book.discard());
        }
    }

    /// Takes what is to be written.
    pub(super) fn take(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for ((kind, quantity), devices) in &mut self.books {
            for (device, book) in devices {
                let Some(pending) = book.take() else { continue };
                let series = Series { kind: *kind, device: device.clone(), quantity: *quantity };
                let Some(total) = energy(book.last.total) else { continue };
                let from = pending.from.and_then(|point| energy(point.total));
                let to = Counted { series, total, at: book.last.at };
                steps.push(Step { from, to, growth: pending.growth });
            }
        }
        steps
    }

    /// Records whether the last taken steps were written.
    pub(super) fn written(&mut self, is_written: bool) {
        for book in self.books.values_mut().flat_map(BTreeMap::values_mut) {
            let Some(sent) = book.sending.take() else { continue };
            if !is_written {
                let later = std::mem::replace(&mut book.pending, sent);
                for growth in later.growth {
                    add(&mut book.pending.growth, growth);
                }
            }
        }
    }
}

impl Book {
    /// Continues from the total on disk, or begins if there is none.
    fn join(&mut self, stored: Option<Point>, zone: &TimeZone) {
        let Some(first) = self.unjoined.take() else { return };
        let today = LocalDay::of(first.at, zone);
        self.pending.from = stored;
        match stored {
            Some(stored) => self.grow(stored, first, &today, zone),
            None => add(&mut self.pending.growth, nothing(first.at, &today)),
        }
    }

    /// Marks the day of the last reading as estimated, if it is.
    fn mark(&mut self, estimated: bool) {
        let newest = self.pending.growth.iter_mut().max_by_key(|growth| growth.until);
        if let Some(growth) = newest {
            growth.estimated |= estimated;
        }
    }

    /// Adds the step from one total to another, which was read `today`.
    fn grow(&mut self, from: Point, to: Point, today: &LocalDay, zone: &TimeZone) {
        let growth = &mut self.pending.growth;
        let step = to.total - from.total;
        let passed = to.at.duration_since(from.at);
        let most = (passed.as_secs().max(0) + SLACK_S) * MOST_POWER_W / 3600;
        if !(0..=most).contains(&step) {
            // Reset by the operator, or another total: it begins again.
            return add(growth, nothing(to.at, today));
        }
        let energy = watt_hours(step);
        if passed < SignedDuration::ZERO {
            // The clock was ahead: only the beginning of the time is unknown.
            return add(growth, Growth { energy, ..nothing(to.at, today) });
        }
        let is_midnight_between = from.at < today.midnight && passed <= GAP;
        if is_midnight_between {
            // The day that has ended is covered to its end.
            let until = today.midnight;
            add(growth, Growth { until, ..nothing(from.at, &LocalDay::of(until, zone)) });
        }
        let since = if is_midnight_between { today.midnight } else { from.at };
        add(growth, Growth { energy, since, ..nothing(to.at, today) });
    }

    /// Returns whether the counter can continue: `false` if nothing of it is on disk.
    fn discard(&mut self) -> bool {
        self.pending.growth.clear();
        match self.pending.from {
            Some(from) => self.last = from,
            None => return false,
        }
        true
    }

    fn take(&mut self) -> Option<Pending> {
        if self.pending.growth.is_empty() || self.unjoined.is_some() || self.sending.is_some() {
            return None;
        }
        let next = Pending { from: Some(self.last), growth: Vec::new() };
        let taken = std::mem::replace(&mut self.pending, next);
        self.sending = Some(taken.clone());
        Some(taken)
    }
}

/// Returns no energy at the time `at` of a day.
const fn nothing(at: Timestamp, day: &LocalDay) -> Growth {
    Growth { date: day.date, energy: WattHours::ZERO, since: at, until: at, estimated: false }
}

/// Adds `growth` to that of the same day.
fn add(days: &mut Vec<Growth>, growth: Growth) {
    match days.iter_mut().find(|day| day.date == growth.date) {
        Some(day) => {
            day.energy = watt_hours(day.energy.whole() + growth.energy.whole());
            day.since = day.since.min(growth.since);
            day.until = day.until.max(growth.until);
            day.estimated |= growth.estimated;
        }
        None => days.push(growth),
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53 Wh")]
fn energy(wh: i64) -> Option<WattHours> {
    WattHours::new(wh as f64)
}

fn watt_hours(wh: i64) -> WattHours {
    energy(wh).unwrap_or(WattHours::ZERO)
}
