//! Batteries, the connection to the grid, dry contacts and generator, from the ensemble pages.
//!
//! Sums over the batteries cover all of them: the IQ Batteries and the AC batteries, if a site has both.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::pages::{Cached, Pages};
use super::{acb, age};
use crate::base::reading::{Battery, DryContact, Generator, GridConnection, Storage, Tariff};
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::gateway::wire::Stamp;
use crate::io::gateway::wire::ensemble::{BatteryPower, Encharge, Inventory, Secctrl};
use crate::io::gateway::wire::livedata::LiveData;
use crate::io::gateway::wire::switches;

/// The largest relative difference between the available energy and the state of charge, which are rounded values of
/// slightly different times.
const AGREEMENT: f64 = 0.05;

/// The pages and clock from which batteries are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) pages: &'a Pages,
    /// The live values, if they are current.
    pub(super) live: Option<&'a LiveData>,
    /// The gateway's clock, for the age of reports.
    pub(super) clock: Option<Timestamp>,
}

/// Returns the total power of all batteries, from the live values or as a sum. `None` if one is unknown.
pub(super) fn power(view: &View<'_>) -> Option<Watts> {
    if let Some(power) = view.live.and_then(|page| page.storage) {
        return Some(power);
    }
    let batteries = listed(view.pages);
    let iq = if batteries.is_empty() { Some(Watts::ZERO) } else { iq_power(&batteries, view.pages) };
    Watts::total([iq, acb::power(view.pages, view.clock)])
}

/// Returns the IQ Batteries, sorted by serial number, with the newer of two rows for one battery.
///
/// A battery that has never reported belongs to another gateway and is left out.
fn listed(pages: &Pages) -> Vec<&Encharge> {
    let listed = Cached::page(pages.inventory.as_ref()).map_or(&[][..], |inventory| &inventory.batteries);
    let mut batteries: Vec<&Encharge> = listed.iter().filter(|row| row.reported != Stamp::Never).collect();
    batteries.sort_by_key(|row| (&row.serial, Reverse(row.reported.at())));
    batteries.dedup_by(|one, other| one.serial.is_some() && one.serial == other.serial);
    batteries
}

/// Returns the total power of the IQ Batteries if the page lists all of them.
fn iq_power(batteries: &[&Encharge], pages: &Pages) -> Option<Watts> {
    let mut rows: Vec<&BatteryPower> = Cached::page(pages.power.as_ref())?.0.iter().collect();
    rows.sort_by_key(|row| &row.serial);
    rows.dedup_by(|one, other| one.serial.is_some() && one.serial == other.serial);
    let has = |battery: &&Encharge| match &battery.serial {
        Some(serial) => rows.iter().any(|row| row.serial.as_ref() == Some(serial)),
        None => rows.len() >= batteries.len(),
    };
    batteries.iter().all(has).then(|| Watts::total(rows.iter().map(|row| row.power)))?
}

/// Completes the storage group of the meter, or creates it if there is no storage meter.
pub(super) fn storage(metered: Option<Storage>, view: &View<'_>) -> Option<Storage> {
    let (batteries, others) = (listed(view.pages), acb::storage(view.pages, view.clock));
    let is_metered = metered.is_some();
    let mut storage = match (metered, &others) {
        (Some(metered), _) => metered,
        (None, None) if batteries.is_empty() => return None,
        // Only AC batteries have counters of their own.
        (None, Some(others)) if batteries.is_empty() => others.clone(),
        (None, _) => Storage {
            power_w: power(view),
            measured_at: batteries.iter().filter_map(|battery| battery.reported.at()).max(),
            ..Storage::default()
        },
    };
    let sums = Cached::page(view.pages.secctrl.as_ref()).cloned().unwrap_or_else(Secctrl::default);
    let charge = match others {
        None if batteries.is_empty() => Charge::default(),
        Some(others) if batteries.is_empty() => {
            Charge { soc: others.soc_percent, available: others.available_wh, capacity: None }
        }
        None => Charge::of_iq(&sums, &batteries, view.clock),
        Some(others) => Charge::of_both(&sums, &others),
    };
    storage.soc_percent = charge.soc;
    storage.available_wh = charge.available;
    storage.capacity_wh = charge.capacity;
    if !is_metered {
        storage = with_live(storage, view.live);
    }
    (storage != Storage { measured_at: storage.measured_at, ..Storage::default() }).then_some(storage)
}

/// The charge of a set of batteries; all three values cover the same batteries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Charge {
    soc: Option<Percent>,
    available: Option<WattHours>,
    capacity: Option<WattHours>,
}

impl Charge {
    /// Returns the charge of the IQ Batteries, from their sums if the page has them, else from each battery.
    fn of_iq(sums: &Secctrl, batteries: &[&Encharge], clock: Option<Timestamp>) -> Self {
        let available = sums.encharge_available;
        let total_capacity = WattHours::total(batteries.iter().map(|battery| battery.capacity));
        let soc = sums.encharge_soc.or(sums.soc);
        // The page shows zeros until it has received data from the batteries.
        let is_filled = sums.encharge_capacity.is_some() || soc.is_some_and(|soc| soc.value() > 0.0);
        let is_possible = |capacity: &WattHours| available.is_none_or(|available| fits(available, *capacity));
        let capacity = [sums.encharge_capacity, total_capacity].into_iter().flatten().find(is_possible);
        if !is_filled {
            return Self { soc: mean_soc(batteries, clock), available: None, capacity };
        }
        Self { soc: soc.or_else(|| mean_soc(batteries, clock)), available, capacity }
    }

    /// Returns the charge of IQ Batteries and AC batteries.
    ///
    /// The capacity is of both only if it agrees with the available energy at this state of charge: 8.2.4382 has been seen
    /// with `Max_energy` 412 while 446 Wh were available at 18 %.
    fn of_both(sums: &Secctrl, others: &Storage) -> Self {
        let available = WattHours::total([sums.encharge_available, others.available_wh]);
        let agrees = |capacity: &WattHours| {
            let (Some(soc), Some(available)) = (sums.soc, available) else { return false };
            let expected = capacity.value() * soc.value() / 100.0;
            (available.value() - expected).abs() <= AGREEMENT * capacity.value()
                && sums.encharge_capacity.is_none_or(|iq| *capacity > iq)
        };
        Self { soc: sums.soc, available, capacity: sums.capacity.filter(agrees) }
    }
}

/// Returns `true` if `available` is possible. It is measured, while `capacity` is nominal.
fn fits(available: WattHours, capacity: WattHours) -> bool {
    available.value() <= capacity.value() * (1.0 + AGREEMENT)
}

/// Replaces values by the live ones, which are newer.
fn with_live(storage: Storage, live: Option<&LiveData>) -> Storage {
    let Some(page) = live.filter(|page| page.storage.is_some()) else { return storage };
    Storage {
        power_w: page.storage,
        soc_percent: page.soc.or(storage.soc_percent),
        measured_at: page.updated_at.or(storage.measured_at),
        ..storage
    }
}

/// Returns the mean state of charge, weighted by capacity.
fn mean_soc(batteries: &[&Encharge], clock: Option<Timestamp>) -> Option<Percent> {
    let (mut weighted, mut capacity) = (0.0, 0.0);
    for battery in batteries {
        if !age::is_current(battery.reported, clock) {
            return None;
        }
        weighted += battery.soc?.value() * battery.capacity?.value();
        capacity += battery.capacity?.value();
    }
    // Rounding may raise the mean of 100 and 100 above 100.
    Percent::new((weighted / capacity).min(100.0))
}

/// Returns the IQ Batteries and AC batteries, sorted by serial number.
pub(super) fn batteries(view: &View<'_>) -> Vec<Battery> {
    let powers = Cached::page(view.pages.power.as_ref()).map_or(&[][..], |page| &page.0);
    let iq = listed(view.pages).into_iter().filter_map(|listed| battery(listed, powers, view.clock));
    let mut batteries: Vec<Battery> = iq.chain(acb::batteries(view.pages, view.clock)).collect();
    batteries.sort_by(|one, other| {
        let newest_first = other.reported_at.cmp(&one.reported_at);
        one.serial.cmp(&other.serial).then(newest_first)
    });
    batteries.dedup_by(|one, other| one.serial == other.serial);
    batteries
}

fn battery(listed: &Encharge, powers: &[BatteryPower], clock: Option<Timestamp>) -> Option<Battery> {
    let serial = listed.serial.clone()?;
    let is_current = age::is_current(listed.reported, clock);
    let (soc, temperature) = if is_current { (listed.soc, listed.temperature) } else { (None, None) };
    let power = powers.iter().find(|row| row.serial.as_ref() == Some(&serial));
    Some(Battery {
        soc_percent: power.and_then(|row| row.soc).or(soc),
        power_w: power.and_then(|row| row.power),
        temperature_c: temperature,
        capacity_wh: listed.capacity,
        reported_at: listed.reported.at(),
        ..Battery::unmeasured(serial, "encharge")
    })
}

/// Returns the switch between the house and the grid: the one of the system controller, else of the collar.
pub(super) fn grid_connection(inventory: &Inventory) -> Option<GridConnection> {
    if let Some(controller) = &inventory.controller {
        return Some(GridConnection {
            state: controller.state.as_deref().and_then(switch_state),
            mode: controller.mode.clone(),
            wanted: controller.wanted.clone(),
            temperature_c: controller.temperature,
            serial: controller.serial.clone(),
        });
    }
    inventory.collar.as_ref().map(|collar| GridConnection {
        state: collar.state.as_deref().and_then(switch_state),
        mode: collar.mode.clone(),
        wanted: None,
        temperature_c: collar.temperature,
        serial: collar.serial.clone(),
    })
}

/// Normalizes the state of a switch: the controller reports `closed`, the collar `close`.
fn switch_state(word: &str) -> Option<String> {
    match word.to_ascii_lowercase().as_str() {
        "closed" | "close" => Some("closed".to_owned()),
        "open" | "opened" => Some("open".to_owned()),
        _ => None,
    }
}

/// Returns the dry contacts with the names that the owner chose.
pub(super) fn dry_contacts(pages: &Pages) -> Vec<DryContact> {
    let settings = Cached::page(pages.contact_settings.as_ref()).map_or(&[][..], |page| &page.contacts);
    let name = |id: &str| settings.iter().find(|row| row.id.as_deref() == Some(id))?.load_name.clone();
    let contact = |row: &switches::DryContact| {
        let id = row.id.clone()?;
        Some(DryContact { state: row.status.clone(), name: name(&id), id })
    };
    let listed = Cached::page(pages.contacts.as_ref()).map_or(&[][..], |page| &page.contacts);
    listed.iter().filter_map(contact).collect()
}

/// Returns the generator, if there is one.
pub(super) fn generator(page: &switches::Generator) -> Option<Generator> {
    page.exists().then(|| Generator {
        state: page.state.clone(),
        mode: page.mode.clone(),
        start_soc_percent: page.start_soc,
        stop_soc_percent: page.stop_soc,
    })
}

/// Returns the power of the generator: 0 if there is none or it does not run, `None` if it is unknown.
///
/// No meter measures it: the generator is wired to the system controller, behind the grid meter.
pub(super) fn generator_power(view: &View<'_>) -> Option<Watts> {
    let page = Cached::page(view.pages.generator.as_ref());
    if !page.is_some_and(switches::Generator::runs) {
        return Some(Watts::ZERO);
    }
    view.live.and_then(|page| page.generator)
}

/// Returns the storage settings.
pub(super) fn tariff(pages: &Pages) -> Option<Tariff> {
    let settings = Cached::page(pages.tariff.as_ref())?.as_ref()?;
    Some(Tariff {
        mode: settings.mode.clone(),
        reserve_percent: settings.reserve,
        charge_from_grid: settings.charge_from_grid,
    })
}
