//! Batteries, the connection to the grid, dry contacts and generator, from the ensemble pages.

use super::acb;
use super::pages::{Kept, Pages};
use crate::gateway::wire::ensemble::{BatteryPower, Encharge, Inventory, Secctrl};
use crate::gateway::wire::livedata::LiveData;
use crate::gateway::wire::switches;
use crate::reading::{Battery, DryContact, Generator, GridConnection, Storage, Tariff};
use crate::units::{Percent, WattHours, Watts};

/// What all batteries give together, by their live values or by each of them; `None` when one does not tell.
pub(super) fn power(pages: &Pages, live: Option<&LiveData>) -> Option<Watts> {
    if let Some(power) = live.and_then(|page| page.storage) {
        return Some(power);
    }
    let iq = if listed(pages).is_empty() { Some(Watts::ZERO) } else { iq_power(pages) };
    Some(iq? + acb::power(pages)?)
}

fn listed(pages: &Pages) -> &[Encharge] {
    Kept::page(pages.inventory.as_ref()).map_or(&[][..], |inventory| &inventory.batteries)
}

/// What the IQ Batteries give together.
fn iq_power(pages: &Pages) -> Option<Watts> {
    let powers = &Kept::page(pages.power.as_ref())?.0;
    (!powers.is_empty()).then(|| powers.iter().map(|battery| battery.power).sum::<Option<Watts>>())?
}

/// Completes what the storage meter says, or says all of it.
pub(super) fn storage(metered: Option<Storage>, pages: &Pages, live: Option<&LiveData>) -> Option<Storage> {
    let (batteries, others) = (listed(pages), acb::storage(pages));
    if batteries.is_empty() {
        return match (metered, others) {
            (None, others) => others.map(|others| with_live(others, live)),
            (Some(metered), None) => Some(metered),
            (Some(metered), Some(others)) => Some(Storage {
                soc_percent: others.soc_percent,
                available_wh: others.available_wh,
                ..metered
            }),
        };
    }
    let together = Kept::page(pages.secctrl.as_ref()).cloned().unwrap_or_else(Secctrl::default);
    let is_metered = metered.is_some();
    let mut storage = metered.unwrap_or_else(|| Storage {
        power_w: power(pages, None),
        measured_at: batteries.iter().filter_map(|battery| battery.reported_at).max(),
        ..Storage::default()
    });
    let soc = if others.is_some() { together.soc } else { together.encharge_soc };
    storage.soc_percent = soc.or(together.encharge_soc).or(together.soc).or_else(|| mean_soc(batteries));
    storage.available_wh = match others {
        Some(others) => add(together.encharge_available, others.available_wh),
        None => together.encharge_available,
    };
    let sum = batteries.iter().map(|battery| battery.capacity).sum();
    storage.capacity_wh = together.encharge_capacity.filter(|it| *it != WattHours::ZERO).or(sum);
    if !is_metered {
        storage = with_live(storage, live);
    }
    (storage != Storage { measured_at: storage.measured_at, ..Storage::default() }).then_some(storage)
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

fn add(one: Option<WattHours>, other: Option<WattHours>) -> Option<WattHours> {
    Some(one? + other?)
}

/// The state of charge of all, the larger ones counting more.
fn mean_soc(batteries: &[Encharge]) -> Option<Percent> {
    let weigh = |battery: &Encharge| Some((battery.soc?.value(), battery.capacity?.value()));
    let weighed = batteries.iter().map(weigh).collect::<Option<Vec<(f64, f64)>>>()?;
    let held: f64 = weighed.iter().map(|(soc, capacity)| soc * capacity).sum();
    Percent::new(held / weighed.iter().map(|(_, capacity)| capacity).sum::<f64>())
}

/// Each IQ Battery and AC battery, sorted by serial.
pub(super) fn batteries(pages: &Pages) -> Vec<Battery> {
    let powers = Kept::page(pages.power.as_ref()).map_or(&[][..], |page| &page.0);
    let iq = listed(pages).iter().filter_map(|listed| battery(listed, powers));
    let mut batteries: Vec<Battery> = iq.chain(acb::batteries(pages)).collect();
    batteries.sort_by(|one, other| one.serial.cmp(&other.serial));
    batteries.dedup_by(|one, other| one.serial == other.serial);
    batteries
}

fn battery(listed: &Encharge, powers: &[BatteryPower]) -> Option<Battery> {
    let serial = listed.serial.clone()?;
    let now = powers.iter().find(|row| row.serial.as_ref() == Some(&serial));
    Some(Battery {
        kind: "encharge".to_owned(),
        soc_percent: now.and_then(|now| now.soc).or(listed.soc),
        power_w: now.and_then(|now| now.power),
        temperature_c: listed.temperature,
        capacity_wh: listed.capacity,
        reported_at: listed.reported_at,
        serial,
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
    let set = |soc: Option<Percent>| soc.filter(|soc| soc.value() >= 0.0);
    page.exists().then(|| Generator {
        state: page.state.clone(),
        mode: page.mode.clone(),
        start_soc_percent: set(page.start_soc),
        stop_soc_percent: set(page.stop_soc),
    })
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
