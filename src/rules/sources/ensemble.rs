//! Batteries, the connection to the grid, dry contacts and generator, from the ensemble pages.
//!
//! What is shown of the batteries together is of all of them: of the IQ Batteries and of the AC batteries, where a
//! site has both.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::pages::{Kept, Pages};
use super::{acb, age};
use crate::base::reading::{Battery, DryContact, Generator, GridConnection, Storage, Tariff};
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::gateway::wire::Stamp;
use crate::io::gateway::wire::ensemble::{BatteryPower, Encharge, Inventory, Secctrl};
use crate::io::gateway::wire::livedata::LiveData;
use crate::io::gateway::wire::switches;

/// How far what is available and the state of charge may differ: both are rounded, and one is a little older.
const AGREEMENT: f64 = 0.05;

/// From where the batteries are seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) pages: &'a Pages,
    /// The live values, when they move.
    pub(super) live: Option<&'a LiveData>,
    /// The gateway's clock, for the age of reports.
    pub(super) clock: Option<Timestamp>,
}

/// What all batteries give together, by their live values or by each of them; `None` when one does not tell.
pub(super) fn power(view: &View<'_>) -> Option<Watts> {
    if let Some(power) = view.live.and_then(|page| page.storage) {
        return Some(power);
    }
    let batteries = listed(view.pages);
    let iq = if batteries.is_empty() { Some(Watts::ZERO) } else { iq_power(&batteries, view.pages) };
    Watts::total([iq, acb::power(view.pages, view.clock)])
}

/// Each IQ Battery once, sorted by serial; of two rows of one battery the newer holds. One that never reported is not
/// this gateway's.
fn listed(pages: &Pages) -> Vec<&Encharge> {
    let listed = Kept::page(pages.inventory.as_ref()).map_or(&[][..], |inventory| &inventory.batteries);
    let mut batteries: Vec<&Encharge> = listed.iter().filter(|row| row.reported != Stamp::Never).collect();
    batteries.sort_by_key(|row| (&row.serial, Reverse(row.reported.at())));
    batteries.dedup_by(|one, other| one.serial.is_some() && one.serial == other.serial);
    batteries
}

/// What the IQ Batteries give together, if the page has each of them.
fn iq_power(batteries: &[&Encharge], pages: &Pages) -> Option<Watts> {
    let mut rows: Vec<&BatteryPower> = Kept::page(pages.power.as_ref())?.0.iter().collect();
    rows.sort_by_key(|row| &row.serial);
    rows.dedup_by(|one, other| one.serial.is_some() && one.serial == other.serial);
    let has = |battery: &&Encharge| match &battery.serial {
        Some(serial) => rows.iter().any(|row| row.serial.as_ref() == Some(serial)),
        None => rows.len() >= batteries.len(),
    };
    batteries.iter().all(has).then(|| Watts::total(rows.iter().map(|row| row.power)))?
}

/// Completes what the storage meter says, or says all of it.
pub(super) fn storage(metered: Option<Storage>, view: &View<'_>) -> Option<Storage> {
    let (batteries, others) = (listed(view.pages), acb::storage(view.pages, view.clock));
    let is_metered = metered.is_some();
    let mut storage = match (metered, &others) {
        (Some(metered), _) => metered,
        (None, None) if batteries.is_empty() => return None,
        // The AC batteries alone have counters.
        (None, Some(others)) if batteries.is_empty() => others.clone(),
        (None, _) => Storage {
            power_w: power(view),
            measured_at: batteries.iter().filter_map(|battery| battery.reported.at()).max(),
            ..Storage::default()
        },
    };
    let together = Kept::page(view.pages.secctrl.as_ref()).cloned().unwrap_or_else(Secctrl::default);
    let held = match others {
        None if batteries.is_empty() => Held::default(),
        Some(others) if batteries.is_empty() => {
            Held { soc: others.soc_percent, available: others.available_wh, capacity: None }
        }
        None => Held::of_iq(&together, &batteries, view.clock),
        Some(others) => Held::of_both(&together, &others),
    };
    storage.soc_percent = held.soc;
    storage.available_wh = held.available;
    storage.capacity_wh = held.capacity;
    if !is_metered {
        storage = with_live(storage, view.live);
    }
    (storage != Storage { measured_at: storage.measured_at, ..Storage::default() }).then_some(storage)
}

/// What the same batteries hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Held {
    soc: Option<Percent>,
    available: Option<WattHours>,
    capacity: Option<WattHours>,
}

impl Held {
    /// The IQ Batteries, by the page that has them together, else by each of them.
    fn of_iq(together: &Secctrl, batteries: &[&Encharge], clock: Option<Timestamp>) -> Self {
        let available = together.encharge_available;
        let each = WattHours::total(batteries.iter().map(|battery| battery.capacity));
        // The page shows zeros until it has heard of the batteries.
        let is_filled = together.encharge_capacity.is_some()
            || together.encharge_soc.or(together.soc).is_some_and(|soc| soc.value() > 0.0);
        let soc = together.encharge_soc.or(together.soc).filter(|_| is_filled);
        let holds = |capacity: &WattHours| available.is_none_or(|available| fits(available, *capacity));
        Self {
            soc: soc.or_else(|| mean_soc(batteries, clock)),
            available: available.filter(|_| is_filled),
            capacity: [together.encharge_capacity, each].into_iter().flatten().find(holds),
        }
    }

    /// IQ Batteries and AC batteries. That the capacity is of both shows by what they hold at this state of charge:
    /// 8.2.4382 has been seen with `Max_energy` 412 while 446 Wh were available at 18 %.
    fn of_both(together: &Secctrl, others: &Storage) -> Self {
        let available = WattHours::total([together.encharge_available, others.available_wh]);
        let agrees = |capacity: &WattHours| {
            let (Some(soc), Some(available)) = (together.soc, available) else { return false };
            let expected = capacity.value() * soc.value() / 100.0;
            (available.value() - expected).abs() <= AGREEMENT * capacity.value()
                && together.encharge_capacity.is_none_or(|iq| *capacity > iq)
        };
        Self { soc: together.soc, available, capacity: together.capacity.filter(agrees) }
    }
}

/// Whether so much can be held: what is available is measured, what fits is as labelled.
fn fits(available: WattHours, capacity: WattHours) -> bool {
    available.value() <= capacity.value() * (1.0 + AGREEMENT)
}

/// Replaces what live values know better.
fn with_live(storage: Storage, live: Option<&LiveData>) -> Storage {
    let Some(page) = live.filter(|page| page.storage.is_some()) else { return storage };
    Storage {
        power_w: page.storage,
        soc_percent: page.soc.or(storage.soc_percent),
        measured_at: page.updated_at.or(storage.measured_at),
        ..storage
    }
}

/// The state of charge of all, the larger ones counting more.
fn mean_soc(batteries: &[&Encharge], clock: Option<Timestamp>) -> Option<Percent> {
    let (mut held, mut capacity) = (0.0, 0.0);
    for battery in batteries {
        let soc = battery.soc.filter(|_| age::is_believed(battery.reported, clock))?;
        held += soc.value() * battery.capacity?.value();
        capacity += battery.capacity?.value();
    }
    // The mean of 100 and 100 may come out a little above.
    Percent::new((held / capacity).min(100.0))
}

/// Each IQ Battery and AC battery, sorted by serial.
pub(super) fn batteries(view: &View<'_>) -> Vec<Battery> {
    let powers = Kept::page(view.pages.power.as_ref()).map_or(&[][..], |page| &page.0);
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
    let believed = age::is_believed(listed.reported, clock);
    let now = powers.iter().find(|row| row.serial.as_ref() == Some(&serial));
    Some(Battery {
        soc_percent: now.and_then(|now| now.soc).or(listed.soc.filter(|_| believed)),
        power_w: now.and_then(|now| now.power),
        temperature_c: listed.temperature.filter(|_| believed),
        capacity_wh: listed.capacity,
        reported_at: listed.reported.at(),
        ..Battery::unmeasured(serial, "encharge")
    })
}

/// The switch between the house and the grid: the system controller's, else the collar's.
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

/// The controller says `closed`, the collar `close`.
fn switch_state(word: &str) -> Option<String> {
    match word.to_ascii_lowercase().as_str() {
        "closed" | "close" => Some("closed".to_owned()),
        "open" | "opened" => Some("open".to_owned()),
        _ => None,
    }
}

/// The dry contacts with the names that the owner gave them.
pub(super) fn dry_contacts(pages: &Pages) -> Vec<DryContact> {
    let settings = Kept::page(pages.contact_settings.as_ref()).map_or(&[][..], |page| &page.contacts);
    let name = |id: &str| settings.iter().find(|row| row.id.as_deref() == Some(id))?.load_name.clone();
    let contact = |row: &switches::DryContact| {
        let id = row.id.clone()?;
        Some(DryContact { state: row.status.clone(), name: name(&id), id })
    };
    let listed = Kept::page(pages.contacts.as_ref()).map_or(&[][..], |page| &page.contacts);
    listed.iter().filter_map(contact).collect()
}

/// The generator, if there is one.
pub(super) fn generator(page: &switches::Generator) -> Option<Generator> {
    page.exists().then(|| Generator {
        state: page.state.clone(),
        mode: page.mode.clone(),
        start_soc_percent: page.start_soc,
        stop_soc_percent: page.stop_soc,
    })
}

/// What the generator gives: nothing where there is none or while it does not run, `None` when it runs and no page
/// tells. No meter has it: it is wired to the system controller, behind the grid's meter.
pub(super) fn generator_power(view: &View<'_>) -> Option<Watts> {
    let page = Kept::page(view.pages.generator.as_ref());
    if !page.is_some_and(switches::Generator::runs) {
        return Some(Watts::ZERO);
    }
    view.live.and_then(|page| page.generator)
}

/// The storage settings.
pub(super) fn tariff(pages: &Pages) -> Option<Tariff> {
    let settings = Kept::page(pages.tariff.as_ref())?.as_ref()?;
    Some(Tariff {
        mode: settings.mode.clone(),
        reserve_percent: settings.reserve,
        charge_from_grid: settings.charge_from_grid,
    })
}
