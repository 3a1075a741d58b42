//! The days of several gateways as those of one house.
//!
//! A gateway that was not recorded on a date, or not to its end, counts that energy on a later one. The others wait for it: their energies are
//! carried to that date, which then covers more than a day for all. So every energy is counted once, and no sum mixes one
//! day of one gateway with three of another.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{end, is_of_house};
use crate::base::reading::{Counter, Serial};
use crate::base::units::WattHours;
use crate::io::history::rows::{Day, Growth, Recorded, Series};
use crate::rules::history::periods::days;
use crate::rules::history::totals::GAP;

/// The last record of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    date: Date,
    until: Timestamp,
}

/// A counter of one gateway.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// `None` before its first record.
    last: Option<Last>,
    /// The last date of all, if it is no longer part of the house.
    end: Option<Date>,
}

impl Part {
    fn counts_on(&self, date: Date) -> bool {
        self.last.is_some() && self.end.is_none_or(|end| date <= end)
    }

    /// Returns whether `growth` does not cover the time since the last record: the counter began again.
    fn is_broken_by(&self, growth: &Growth) -> bool {
        self.last.is_some_and(|last| growth.since.duration_since(last.until) > GAP)
    }

    /// Returns whether `growth` ends before the date does, of which `newest` is the end or the newest record of all: the rest
    /// will be counted later.
    fn goes_on_after(&self, growth: &Growth, newest: Timestamp) -> bool {
        newest.duration_since(growth.until) > GAP && self.end.is_none_or(|end| end > growth.date)
    }
}

/// The reservations about the sums that a reader has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// The quantities that some gateways measure, and not all of them.
    pub unmeasured: BTreeSet<Counter>,
    /// The first date whose sum waits for gateways, and these.
    pub waiting: Option<(Date, BTreeSet<Serial>)>,
    /// The gateways that were recorded for the first time, and the date.
    pub begun: Vec<(Serial, Date)>,
    /// The gateways that are no longer read, and their last date.
    pub ended: Vec<(Serial, Date)>,
}

/// Energies that wait for gateways.
#[derive(Clone, Debug)]
struct Carried {
    first: Date,
    growth: Growth,
    waits_for: BTreeSet<Serial>,
}

/// Adds up the days of gateways.
#[derive(Debug)]
pub struct SumOfDays {
    gateways: BTreeMap<Serial, [Part; 6]>,
    carried: [Option<Carried>; 6],
    remarks: Remarks,
}

impl SumOfDays {
    /// Begins a range of dates. `recorded` lists all counters; `is_read` says whether a gateway is still read.
    pub fn new(recorded: &[Recorded], is_read: impl Fn(&Serial) -> bool, zone: &TimeZone) -> Self {
        let mut gateways: BTreeMap<Serial, [Part; 6]> = BTreeMap::new();
        for counter in recorded {
            let parts = gateways.entry(counter.gateway.clone()).or_default();
            if let Some(part) = parts.get_mut(place(counter.quantity)) {
                part.last = counter.before.map(|(date, until)| Last { date, until });
                part.end = end(counter, recorded, is_read(&counter.gateway), zone);
            }
        }
        Self { gateways, carried: Default::default(), remarks: Remarks::default() }
    }

    /// Returns the first date before `start` that a counter has not counted, and may count later.
    pub fn oldest_gap(&self, start: Date) -> Option<Date> {
        let parts = self.gateways.values().flatten().filter(|part| part.counts_on(start));
        let next = parts.filter_map(|part| part.last?.date.tomorrow().ok());
        next.min().filter(|gap| *gap < start)
    }

    /// Adds the rows of all gateways on the date `date`, later than those before. Returns the sums that are known with it.
    pub fn push(&mut self, date: Date, rows: &[(Serial, Day)]) -> Vec<Day> {
        self.begin(date, rows);
        let Some(newest) = rows.iter().map(|(_, day)| day.growth.until).max() else { return Vec::new() };
        let sums = Counter::ALL.into_iter().filter_map(|quantity| {
            let of_quantity = rows.iter().filter(|(_, day)| day.series.quantity == quantity);
            let rows: Vec<(&Serial, &Growth)> =
                of_quantity.map(|(gateway, day)| (gateway, &day.growth)).collect();
            let growth = self.sum(quantity, (date, newest), &rows)?;
            Some(Day { series: Series::site(quantity), growth })
        });
        sums.collect()
    }

    /// Returns the remarks about the dates `from` to `to`.
    pub fn finish(mut self, (from, to): (Date, Date)) -> Remarks {
        let waiting = self.carried.into_iter().flatten().min_by_key(|carried| carried.first);
        self.remarks.waiting = waiting.map(|carried| (carried.first, carried.waits_for));
        for (gateway, parts) in &self.gateways {
            let counted = || parts.iter().filter(|part| part.last.is_some());
            let end = counted().map(|part| part.end).max_by_key(|end| end.unwrap_or(Date::MAX)).flatten();
            let ended = end.filter(|end| (from..to).contains(end));
            self.remarks.ended.extend(ended.map(|end| (gateway.clone(), end)));
        }
        self.remarks.begun.retain(|(_, begun)| *begun > from);
        self.remarks
    }

    /// Notes the gateways that are recorded for the first time.
    fn begin(&mut self, date: Date, rows: &[(Serial, Day)]) {
        let is_begun = |parts: &[Part; 6]| parts.iter().any(|part| part.last.is_some());
        let is_first = !self.gateways.values().any(is_begun);
        for (gateway, day) in rows {
            let parts = self.gateways.entry(gateway.clone()).or_default();
            if !is_first && !is_begun(parts) && !self.remarks.begun.iter().any(|(known, _)| known == gateway)
            {
                self.remarks.begun.push((gateway.clone(), date));
            }
            if let Some(part) = parts.get_mut(place(day.series.quantity)) {
                // The record itself is compared with the one before.
                part.last.get_or_insert(Last { date, until: day.growth.since });
            }
        }
    }

    /// Returns the sum of a quantity that is known on `date`, whose newest record of all is at `newest`.
    fn sum(
        &mut self,
        quantity: Counter,
        (date, newest): (Date, Timestamp),
        rows: &[(&Serial, &Growth)],
    ) -> Option<Growth> {
        let place = place(quantity);
        if rows.is_empty() {
            return None;
        }
        let carried = self.carried.get_mut(place)?.take();
        let part_of = |parts: &[Part; 6]| parts.get(place).copied().unwrap_or_default();
        let measures = |parts: &[Part; 6]| part_of(parts).counts_on(date);
        let is_there = |parts: &[Part; 6]| parts.iter().any(|part| part.counts_on(date));
        let is_unmeasured =
            is_of_house(quantity) && self.gateways.values().any(|parts| is_there(parts) && !measures(parts));
        let has_row = |gateway: &Serial| rows.iter().any(|(known, _)| *known == gateway);
        let lacking = self.gateways.iter().filter(|(gateway, parts)| measures(parts) && !has_row(gateway));
        let part_of_row = |gateway: &Serial| self.gateways.get(gateway).map(part_of).unwrap_or_default();
        let partial =
            rows.iter().filter(|(gateway, growth)| part_of_row(gateway).goes_on_after(growth, newest));
        let waiting = lacking.map(|(gateway, _)| gateway).chain(partial.map(|(gateway, _)| *gateway));
        let waits_for: BTreeSet<Serial> = waiting.cloned().collect();
        let is_broken = rows.iter().any(|(gateway, growth)| part_of_row(gateway).is_broken_by(growth));
        for (gateway, growth) in rows {
            let part = self.gateways.get_mut(*gateway).and_then(|parts| parts.get_mut(place));
            if let Some(part) = part {
                part.last = Some(Last { date, until: growth.until });
            }
        }
        if is_unmeasured {
            self.remarks.unmeasured.insert(quantity);
            return None;
        }
        if is_broken && rows.iter().any(|(_, growth)| days(growth) > 1) {
            // A part of the time that these cover is unknown at the one that began again.
            return None;
        }
        let carried = carried.filter(|_| !is_broken);
        let first = carried.as_ref().map_or(date, |carried| carried.first);
        let parts: Vec<&Growth> = carried
            .iter()
            .map(|carried| &carried.growth)
            .chain(rows.iter().map(|(_, growth)| *growth))
            .collect();
        let growth = total(date, &parts)?;
        if waits_for.is_empty() {
            return Some(growth);
        }
        *self.carried.get_mut(place)? = Some(Carried { first, growth, waits_for });
        None
    }
}

fn place(quantity: Counter) -> usize {
    Counter::ALL.iter().position(|known| *known == quantity).unwrap_or_default()
}

/// Returns the sum of energies, for the date `date`.
fn total(date: Date, parts: &[&Growth]) -> Option<Growth> {
    let energy = WattHours::total(parts.iter().map(|part| Some(part.energy)))?;
    let (since, until) =
        (parts.iter().map(|part| part.since).min()?, parts.iter().map(|part| part.until).max()?);
    Some(Growth { date, energy, since, until, estimated: parts.iter().any(|part| part.estimated) })
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Span};
    use proptest::prelude::*;

    use super::*;
    use crate::rules::history::periods::{Length, Periods};

    const START: Date = jiff::civil::date(2026, 6, 1);

    fn serial(gateway: usize) -> Serial {
        Serial::parse(&format!("{gateway}")).unwrap()
    }

    fn date_of(n: i32) -> Date {
        START.checked_add(Span::new().days(n)).unwrap()
    }

    fn midnight(n: i32) -> Timestamp {
        date_of(n).to_zoned(TimeZone::UTC).unwrap().timestamp()
    }

    /// A row on the day `n` with an energy, which covers `gap` days before as well.
    fn row(quantity: Counter, n: i32, wh: f64, gap: i32) -> Day {
        let (since, until) = (midnight(n - gap), midnight(n + 1));
        let energy = WattHours::new(wh).unwrap();
        let growth = Growth { date: date_of(n), energy, since, until, estimated: false };
        Day { series: Series::site(quantity), growth }
    }

    /// A counter that was recorded up to the end of the day before [`START`], and is recorded still.
    fn recorded(gateway: usize, quantity: Counter) -> Recorded {
        let before = Some((date_of(-1), midnight(0)));
        Recorded { gateway: serial(gateway), quantity, counted_at: midnight(40), before }
    }

    /// The day, the energy and the days that it covers.
    type Sums = Vec<(i32, Counter, i64, i64)>;

    fn added(recorded: &[Recorded], read: &[usize], rows: &[(usize, Day)], last: i32) -> (Sums, Remarks) {
        let is_read = |gateway: &Serial| read.iter().any(|one| serial(*one) == *gateway);
        let mut sum = SumOfDays::new(recorded, is_read, &TimeZone::UTC);
        let mut sums = Vec::new();
        for n in 0..=last {
            let of_day: Vec<(Serial, Day)> = rows
                .iter()
                .filter(|(_, day)| day.growth.date == date_of(n))
                .map(|(gateway, day)| (serial(*gateway), day.clone()))
                .collect();
            if !of_day.is_empty() {
                sums.extend(
                    sum.push(date_of(n), &of_day)
                        .into_iter()
                        .map(|day| (n, day.series.quantity, day.growth.energy.whole(), days(&day.growth))),
                );
            }
        }
        (sums, sum.finish((date_of(0), date_of(last))))
    }

    use Counter::{Charged, Consumption, Production};

    #[test]
    fn a_day_that_one_gateway_counts_later_is_added_where_it_is_counted() {
        let known = [recorded(1, Production), recorded(2, Production)];
        let rows = [
            (1, row(Production, 0, 1.0, 0)),
            (2, row(Production, 0, 100.0, 0)),
            (1, row(Production, 1, 2.0, 0)),
            (1, row(Production, 2, 3.0, 0)),
            (1, row(Production, 3, 4.0, 0)),
            (2, row(Production, 3, 900.0, 2)),
            (1, row(Production, 4, 5.0, 0)),
            (2, row(Production, 4, 500.0, 0)),
        ];
        let (sums, remarks) = added(&known, &[1, 2], &rows, 4);
        assert_eq!(
            sums,
            [(0, Production, 101, 1), (3, Production, 909, 3), (4, Production, 505, 1)],
            "2 and 3 Wh wait for the third day"
        );
        assert_eq!(remarks, Remarks::default());
    }

    #[test]
    fn a_day_of_which_one_gateway_counts_the_rest_later_waits_for_it() {
        let known = [recorded(1, Production), recorded(2, Production)];
        let ended_early = |hours| {
            let mut day = row(Production, 0, 50.0, 0);
            day.growth.until -= SignedDuration::from_hours(hours);
            day
        };
        let later = |hours| {
            let mut day = row(Production, 1, 150.0, 0);
            day.growth.since -= SignedDuration::from_hours(hours);
            day
        };
        let rows = |hours| {
            [
                (1, row(Production, 0, 1.0, 0)),
                (2, ended_early(hours)),
                (1, row(Production, 1, 2.0, 0)),
                (2, later(hours)),
            ]
        };
        assert_eq!(added(&known, &[1, 2], &rows(12), 1).0, [(1, Production, 203, 2)]);
        assert_eq!(added(&known, &[1, 2], &rows(1), 1).0.len(), 2, "a restart around midnight is no gap");
        let (sums, remarks) = added(&known, &[1, 2], &rows(12)[..2], 0);
        assert_eq!((sums, remarks.waiting), (vec![], Some((date_of(0), BTreeSet::from([serial(2)])))));
    }

    #[test]
    fn gaps_that_overlap_end_together() {
        let known = [recorded(1, Production), recorded(2, Production)];
        let rows = [
            (1, row(Production, 0, 1.0, 0)),
            (2, row(Production, 1, 200.0, 1)),
            (1, row(Production, 2, 30.0, 1)),
            (2, row(Production, 2, 100.0, 0)),
        ];
        assert_eq!(added(&known, &[1, 2], &rows, 2).0, [(2, Production, 331, 3)]);
    }

    #[test]
    fn a_gateway_that_is_away_until_now_leaves_no_sum_and_is_named() {
        let known = [recorded(1, Production), recorded(2, Production)];
        let rows = [(1, row(Production, 0, 1.0, 0)), (1, row(Production, 1, 1.0, 0))];
        let (sums, remarks) = added(&known, &[1, 2], &rows, 1);
        assert_eq!(sums, []);
        assert_eq!(remarks.waiting, Some((date_of(0), BTreeSet::from([serial(2)]))));
        // One that is no longer read is not waited for.
        let gone =
            Recorded { counted_at: midnight(0) - SignedDuration::from_secs(1), ..recorded(2, Production) };
        let (sums, remarks) = added(&[recorded(1, Production), gone], &[1], &rows, 1);
        assert_eq!(sums, [(0, Production, 1, 1), (1, Production, 1, 1)]);
        assert_eq!(remarks, Remarks::default());
    }

    #[test]
    fn a_house_has_a_sum_only_if_every_gateway_measures_it() {
        let known = [
            recorded(1, Production),
            recorded(1, Consumption),
            recorded(2, Production),
            recorded(1, Charged),
        ];
        let rows = [
            (1, row(Production, 0, 1.0, 0)),
            (1, row(Consumption, 0, 7.0, 0)),
            (1, row(Charged, 0, 3.0, 0)),
            (2, row(Production, 0, 100.0, 0)),
        ];
        let (sums, remarks) = added(&known, &[1, 2], &rows, 0);
        assert_eq!(sums, [(0, Production, 101, 1), (0, Charged, 3, 1)]);
        assert_eq!(remarks.unmeasured, BTreeSet::from([Consumption]));
    }

    #[test]
    fn a_gateway_is_part_from_its_first_day_on_and_one_that_replaced_another_continues_it() {
        let known = [
            Recorded { counted_at: midnight(2) - SignedDuration::from_secs(1), ..recorded(1, Consumption) },
            Recorded { before: None, ..recorded(2, Consumption) },
        ];
        let rows = [
            (1, row(Consumption, 0, 1.0, 0)),
            (1, row(Consumption, 1, 1.0, 0)),
            (2, row(Consumption, 1, 100.0, 0)),
            (2, row(Consumption, 2, 100.0, 0)),
        ];
        let (sums, remarks) = added(&known, &[2], &rows, 2);
        assert_eq!(sums, [(0, Consumption, 1, 1), (1, Consumption, 101, 1), (2, Consumption, 100, 1)]);
        assert_eq!(remarks.begun, [(serial(2), date_of(1))]);
        assert_eq!(remarks.ended, [(serial(1), date_of(1))]);
    }

    #[test]
    fn a_counter_that_began_again_in_a_gap_leaves_that_time_without_a_sum() {
        let known = [recorded(1, Production), recorded(2, Production)];
        let rows = [
            (1, row(Production, 0, 1.0, 0)),
            (2, row(Production, 0, 100.0, 0)),
            (1, row(Production, 1, 2.0, 0)),
            // The day before is not in it.
            (1, row(Production, 2, 3.0, 0)),
            (2, row(Production, 2, 300.0, 0)),
        ];
        assert_eq!(
            added(&known, &[1, 2], &rows, 2).0,
            [(0, Production, 101, 1), (2, Production, 303, 1)],
            "what gateway 2 made on the first day is unknown"
        );
        let rows = [
            (1, row(Production, 0, 1.0, 0)),
            (2, row(Production, 0, 100.0, 0)),
            (1, row(Production, 2, 5.0, 1)),
            (2, row(Production, 2, 300.0, 0)),
        ];
        assert_eq!(added(&known, &[1, 2], &rows, 2).0, [(0, Production, 101, 1)]);
    }

    #[test]
    fn a_battery_that_was_removed_is_not_waited_for() {
        let removed = Recorded { counted_at: midnight(0), ..recorded(2, Charged) };
        let known = [recorded(1, Charged), recorded(2, Production), removed];
        let rows = [(1, row(Charged, 3, 5.0, 3)), (2, row(Production, 3, 5.0, 3))];
        let (sums, remarks) = added(&known, &[1, 2], &rows, 3);
        assert_eq!(sums, [(3, Production, 5, 4), (3, Charged, 5, 4)]);
        assert_eq!(remarks.ended, [], "the gateway itself is read");
    }

    proptest! {
        /// Gateways with any gaps: each energy is counted once, at the latest on a day that all have counted.
        #[test]
        fn no_energy_is_lost_or_counted_twice(
            presence in prop::collection::vec(prop::collection::vec(any::<bool>(), 20), 1..4)
        ) {
            let known: Vec<Recorded> = (0..presence.len()).map(|gateway| recorded(gateway, Production)).collect();
            let read: Vec<usize> = (0..presence.len()).collect();
            let (mut rows, mut whole) = (Vec::new(), 0);
            for (gateway, days) in presence.iter().enumerate() {
                let mut gap = 0;
                // On the last day all are there.
                for (n, is_there) in (0..).zip(days.iter().chain([&true])) {
                    if *is_there {
                        rows.push((gateway, row(Production, n, f64::from(10 * (gap + 1)), gap)));
                        whole += i64::from(10 * (gap + 1));
                        gap = 0;
                    } else {
                        gap += 1;
                    }
                }
            }
            let (sums, remarks) = added(&known, &read, &rows, 20);
            prop_assert_eq!(sums.iter().map(|(_, _, wh, _)| wh).sum::<i64>(), whole);
            // The same power all the time: each sum is that of all gateways for all days that it covers.
            let count = i64::try_from(presence.len()).unwrap();
            for (n, _, wh, covered) in sums {
                prop_assert_eq!(wh, 10 * count * covered, "on day {}", n);
            }
            prop_assert_eq!(remarks, Remarks::default());
        }
    }

    #[test]
    fn months_of_sums_are_the_sums_of_months() {
        let known = [recorded(1, Production), recorded(2, Production)];
        let mut sum = SumOfDays::new(&known, |_| true, &TimeZone::UTC);
        let mut periods = Periods::new(Length::Month);
        for n in 0..30 {
            let first = (serial(1), row(Production, n, 1.0, 0));
            let second = (
                serial(2),
                row(Production, n, if n == 9 { 400.0 } else { 100.0 }, if n == 9 { 3 } else { 0 }),
            );
            let rows = if (6..9).contains(&n) { vec![first] } else { vec![first, second] };
            for day in sum.push(date_of(n), &rows) {
                assert!(periods.push(&day).is_empty());
            }
        }
        let months = periods.finish();
        assert_eq!(months.len(), 1);
        assert_eq!(months[0].energy[0].map(WattHours::whole), Some(30 + 3000));
        assert_eq!(months[0].days, 30);
    }
}
