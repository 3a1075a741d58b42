//! The samples of several gateways as those of one house.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{end, is_of_house};
use crate::base::reading::{Counter, Serial};
use crate::base::units::{Percent, Watts};
use crate::io::history::rows::{Recorded, SLOT_S, Sample};

/// The counters of each power of a sample.
const COUNTERS: [&[Counter]; 4] = [
    &[Counter::Production],
    &[Counter::Consumption],
    &[Counter::Import, Counter::Export],
    &[Counter::Charged, Counter::Discharged],
];

/// The slots of the longest day: two days where a country has changed its side of the date line.
const MOST_SLOTS: usize = 576;
/// The place of the batteries among them.
const STORAGE: usize = 3;

/// The powers that a gateway measures on a day, also where it has no samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// `true` for a series that was measured before the day.
    begun: [bool; 4],
    /// `true` for a series that is not measured after the last sample.
    ended: [bool; 4],
}

impl Member {
    /// Returns what `gateway` measures on `date`, if `recorded` lists all counters before it. `is_read` says whether the
    /// gateway is still read.
    pub fn of(gateway: &Serial, recorded: &[Recorded], is_read: bool, date: Date, zone: &TimeZone) -> Self {
        let counters = |place: usize| {
            let quantities = COUNTERS.get(place).copied().unwrap_or_default();
            recorded.iter().filter(move |one| one.gateway == *gateway && quantities.contains(&one.quantity))
        };
        let end = |one: &Recorded| end(one, recorded, is_read, zone);
        let begun = |one: &Recorded| one.before.is_some() && end(one).is_none_or(|end| date <= end);
        let ended = |one: &Recorded| end(one).is_some_and(|end| end <= date);
        Self {
            begun: std::array::from_fn(|place| counters(place).any(begun)),
            ended: std::array::from_fn(|place| {
                !is_read || (counters(place).next().is_some() && counters(place).all(ended))
            }),
        }
    }

    /// Returns the first and the last slot in which the gateway measures the power at `place`.
    fn span(self, samples: &[Option<&Sample>], place: usize) -> Option<(usize, usize)> {
        let is_at = |flags: [bool; 4]| flags.get(place).copied().unwrap_or_default();
        let has = |n: &usize| {
            samples.get(*n).copied().flatten().is_some_and(|sample| power(sample, place).is_some())
        };
        let (first, last) = ((0..samples.len()).find(has), (0..samples.len()).rfind(has));
        let from = if is_at(self.begun) { Some(0) } else { first };
        let to = if is_at(self.ended) { last } else { samples.len().checked_sub(1) };
        from.zip(to)
    }
}

fn power(sample: &Sample, place: usize) -> Option<Watts> {
    sample.power.get(place).copied().flatten()
}

/// Returns whether every gateway has to measure the power at `place`.
fn is_of_all(place: usize) -> bool {
    COUNTERS.get(place).is_some_and(|quantities| quantities.iter().all(|quantity| is_of_house(*quantity)))
}

/// A power of the house in a slot, while it is added up.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    sum: Option<Watts>,
    /// A gateway that measures it has no value.
    is_missing: bool,
    /// A gateway does not measure it, and all would have to.
    is_unmeasured: bool,
}

/// A slot of the house.
#[derive(Clone, Debug)]
struct Slot {
    power: [Cell; 4],
    seconds: u16,
    estimated: bool,
    soc: Option<Percent>,
}

/// Adds up the samples of one day, gateway by gateway.
#[derive(Debug)]
pub struct SumOfSamples {
    begin: Timestamp,
    slots: Vec<Slot>,
    /// The number of gateways with a state of charge.
    batteries: usize,
}

impl SumOfSamples {
    /// Begins the day from one midnight to the next.
    pub fn new(begin: Timestamp, end: Timestamp) -> Self {
        let slot = Slot {
            power: [Cell::default(); 4],
            seconds: u16::try_from(SLOT_S).unwrap_or(u16::MAX),
            estimated: false,
            soc: None,
        };
        // The ends of time have no midnight.
        let count =
            usize::try_from(end.duration_since(begin).as_secs() / SLOT_S).unwrap_or(0).min(MOST_SLOTS);
        Self { begin, slots: vec![slot; count], batteries: 0 }
    }

    /// Adds the samples of one gateway, in the order of their times.
    pub fn add(&mut self, samples: &[Sample], member: Member) {
        let mut by_slot: Vec<Option<&Sample>> = vec![None; self.slots.len()];
        for sample in samples {
            let n = sample.start.duration_since(self.begin).as_secs().div_euclid(SLOT_S);
            if let Some(slot) = usize::try_from(n).ok().and_then(|n| by_slot.get_mut(n)) {
                *slot = Some(sample);
            }
        }
        let spans: [_; 4] = std::array::from_fn(|place| member.span(&by_slot, place));
        let is_in =
            |span: &Option<(usize, usize)>, n: usize| span.is_some_and(|(from, to)| from <= n && n <= to);
        for (n, (slot, sample)) in self.slots.iter_mut().zip(&by_slot).enumerate() {
            let is_there = spans.iter().any(|span| is_in(span, n));
            for (place, (cell, span)) in slot.power.iter_mut().zip(&spans).enumerate() {
                match sample.and_then(|sample| power(sample, place)) {
                    Some(value) => cell.add(value),
                    None if is_in(span, n) => cell.is_missing = true,
                    None => cell.is_unmeasured |= is_there && is_of_all(place),
                }
            }
            if let Some(sample) = sample {
                slot.seconds = slot.seconds.min(sample.seconds);
                slot.estimated |= sample.estimated;
                slot.soc = sample.soc.or(slot.soc);
            }
        }
        let has_battery = spans.get(STORAGE).is_some_and(Option::is_some);
        self.batteries += usize::from(has_battery || samples.iter().any(|sample| sample.soc.is_some()));
    }

    /// Returns the sums, and whether there are times without one at which some gateways have values. The energies of the
    /// slots are not added up.
    pub fn finish(self) -> (Vec<Sample>, bool) {
        let has_gaps = self.slots.iter().any(|slot| slot.power.iter().any(Cell::is_gap));
        let samples = (0..).zip(self.slots).filter_map(|(n, slot)| {
            let power = slot.power.map(Cell::value);
            // Charges of several gateways are no charge of the house.
            let soc = slot.soc.filter(|_| self.batteries == 1);
            (power.iter().any(Option::is_some) || soc.is_some()).then(|| Sample {
                start: self.begin + SignedDuration::from_secs(n * SLOT_S),
                seconds: slot.seconds,
                power,
                energy: [None; 6],
                soc,
                estimated: slot.estimated,
            })
        });
        (samples.collect(), has_gaps)
    }
}

impl Cell {
    fn add(&mut self, value: Watts) {
        self.sum = Watts::total([Some(self.sum.unwrap_or(Watts::ZERO)), Some(value)]);
    }

    fn value(self) -> Option<Watts> {
        self.sum.filter(|_| !self.is_missing && !self.is_unmeasured)
    }

    /// Returns whether only a gap of one gateway is the reason that there is no sum.
    const fn is_gap(&self) -> bool {
        self.is_missing && !self.is_unmeasured && self.sum.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "2026-06-28T00:00:00Z";

    /// Returns the samples of the slots from `first`; `-1` stands for what is not measured.
    fn samples(first: i64, powers: &[[i32; 4]]) -> Vec<Sample> {
        let begin: Timestamp = BEGIN.parse().unwrap();
        let power = |value: i32| if value == -1 { None } else { Watts::new(f64::from(value)) };
        (first..)
            .zip(powers)
            .map(|(n, powers)| Sample {
                start: begin + SignedDuration::from_secs(n * SLOT_S),
                seconds: 300,
                power: powers.map(power),
                energy: [None; 6],
                soc: None,
                estimated: false,
            })
            .collect()
    }

    /// Adds up gateways on a day of six slots; returns the slots with their powers, and whether there are gaps.
    fn added(gateways: &[(Vec<Sample>, Member)]) -> (Vec<(i64, [i32; 4])>, bool) {
        let begin: Timestamp = BEGIN.parse().unwrap();
        let mut sum = SumOfSamples::new(begin, begin + SignedDuration::from_mins(30));
        for (samples, member) in gateways {
            sum.add(samples, *member);
        }
        let (samples, has_gaps) = sum.finish();
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        let whole = |power: Option<Watts>| power.map_or(-1, |watts| watts.value() as i32);
        let slot = |sample: &Sample| sample.start.duration_since(begin).as_secs() / SLOT_S;
        (samples.iter().map(|sample| (slot(sample), sample.power.map(whole))).collect(), has_gaps)
    }

    /// A gateway that was recorded before the day, and measures the powers at these places.
    fn known(begun: [bool; 4]) -> Member {
        Member { begun, ..Member::default() }
    }

    const ALL: [bool; 4] = [true, true, true, false];

    #[test]
    fn where_one_gateway_has_a_gap_there_is_no_sum() {
        let first = samples(0, &[[1, 10, -5, -1], [2, 20, -6, -1], [3, 30, -7, -1]]);
        let mut second = samples(0, &[[100, 1000, -500, -1], [200, -1, -600, -1], [300, 3000, -700, -1]]);
        second.remove(0);
        let (sums, has_gaps) = added(&[(first, known(ALL)), (second, known(ALL))]);
        assert_eq!(sums, [(1, [202, -1, -606, -1]), (2, [303, 3030, -707, -1])]);
        assert!(has_gaps);
    }

    #[test]
    fn a_gateway_without_panels_or_batteries_adds_none_and_the_house_is_that_of_all() {
        let metered = (samples(0, &[[1, 10, -5, 7]]), known([true; 4]));
        let plain = (samples(0, &[[100, -1, -1, -1]]), known([true, false, false, false]));
        assert_eq!(added(&[metered.clone(), plain]), (vec![(0, [101, -1, -1, 7])], false));
        let battery_only = (samples(0, &[[-1, 10, 20, 30]]), known([false, true, true, true]));
        assert_eq!(added(&[metered, battery_only]), (vec![(0, [1, 20, 15, 37])], false));
    }

    #[test]
    fn a_gateway_that_is_away_all_day_leaves_no_sum_of_what_it_measures() {
        let first = samples(0, &[[1, 10, -5, 7]]);
        let (sums, has_gaps) =
            added(&[(first, known([true; 4])), (Vec::new(), known([true, false, false, false]))]);
        assert_eq!(sums, [(0, [-1, -1, -1, 7])]);
        assert!(has_gaps);
    }

    #[test]
    fn a_gateway_counts_from_its_first_sample_on_and_to_its_last_if_it_is_no_longer_read() {
        let first = samples(0, &[[1, 10, -5, -1]; 5]);
        let newcomer = (samples(3, &[[100, 1000, 50, -1]; 2]), Member::default());
        let (sums, has_gaps) = added(&[(first.clone(), known(ALL)), newcomer]);
        let powers: Vec<i32> = sums.iter().map(|(_, [sun, ..])| *sun).collect();
        assert_eq!((powers, has_gaps), (vec![1, 1, 1, 101, 101], false));
        let removed = Member { ended: [true; 4], ..known(ALL) };
        let (sums, has_gaps) =
            added(&[(first, known(ALL)), (samples(0, &[[100, 1000, 50, -1]; 2]), removed)]);
        let powers: Vec<i32> = sums.iter().map(|(_, [sun, ..])| *sun).collect();
        assert_eq!((powers, has_gaps), (vec![101, 101, 1, 1, 1], false));
    }

    #[test]
    fn only_one_charge_is_the_charge_of_the_house() {
        let with_soc = |percent: f64| {
            let mut samples = samples(0, &[[1, 10, -5, 7]]);
            for sample in &mut samples {
                sample.soc = Percent::new(percent);
            }
            (samples, known([true; 4]))
        };
        let charge = |gateways: &[(Vec<Sample>, Member)]| {
            let begin: Timestamp = BEGIN.parse().unwrap();
            let mut sum = SumOfSamples::new(begin, begin + SignedDuration::from_mins(30));
            for (samples, member) in gateways {
                sum.add(samples, *member);
            }
            sum.finish().0.first().and_then(|sample| sample.soc).map(Percent::value)
        };
        let plain = (samples(0, &[[1, 10, -5, -1]]), known(ALL));
        assert_eq!(charge(&[with_soc(50.0), plain]), Some(50.0));
        assert_eq!(charge(&[with_soc(50.0), with_soc(70.0)]), None);
        assert_eq!(charge(&[with_soc(50.0), (Vec::new(), known([true; 4]))]), None);
    }

    #[test]
    fn what_was_counted_before_the_day_is_expected_on_it() {
        let serial = Serial::parse("1").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let row = |quantity, counted_at: &str, before: Option<&str>| Recorded {
            gateway: serial.clone(),
            quantity,
            counted_at: at(counted_at),
            before: before.map(|date| (date.parse().unwrap(), at(counted_at))),
        };
        let rows = [
            row(Counter::Production, "2026-06-28T12:00:00Z", Some("2026-06-27")),
            row(Counter::Export, "2026-06-28T12:00:00Z", None),
            // Removed long ago.
            row(Counter::Charged, "2026-01-01T12:00:00Z", Some("2026-01-01")),
        ];
        let date: Date = "2026-06-28".parse().unwrap();
        let of = |is_read| Member::of(&serial, &rows, is_read, date, &TimeZone::UTC);
        let ended = [false, false, false, true];
        assert_eq!(of(true), Member { begun: [true, false, false, false], ended });
        assert_eq!(of(false), Member { begun: [true, false, false, false], ended: [true; 4] });
    }
}
