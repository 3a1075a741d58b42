//! The meters of one place, the site or one phase, and what follows from several of them.
//!
//! What is computed of several meters is of all of them or absent: a meter that is switched on and not read is not 0.

use super::flow::{Flow, Metered};
use crate::base::reading::{Grid, Phase, PhaseValues};
use crate::base::units::{WattHours, Watts};
use crate::io::gateway::wire::meters::{Meter, Meters};

/// The house cannot give power; a little below zero is noise between two transformers.
const NOISE: f64 = -50.0;

/// The house's power, unless it is impossible.
pub(super) fn of_a_house(power: Option<Watts>) -> Option<Watts> {
    power.filter(|power| power.value() > NOISE)
}

/// The meters that are switched on, of one place: the whole site or one phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) production: Metered,
    pub(super) net: Metered,
    pub(super) total: Metered,
    pub(super) storage: Metered,
    /// Third-party PV, which feeds the house beside the gateway's own production.
    pub(super) other_pv: Metered,
}

impl Place {
    /// `flow` returns `None` for a meter that is not at this place, and `Some(None)` for one that is not read.
    pub(super) fn new(meters: &Meters, flow: impl Fn(&Meter) -> Option<Option<Flow>>) -> Self {
        let find = |kind: &str| {
            let of_kind = |meter: &&Meter| meter.enabled() && meter.measurement_type.as_deref() == Some(kind);
            let mut seen = Vec::new();
            let mut metered = Metered::No;
            for meter in meters.0.iter().filter(of_kind) {
                // One meter listed twice is one meter.
                if seen.contains(&meter.eid) {
                    continue;
                }
                seen.push(meter.eid);
                metered = match (metered, flow(meter)) {
                    (metered, None) => metered,
                    (Metered::Unread, _) | (_, Some(None)) => Metered::Unread,
                    (Metered::No, Some(Some(flow))) => Metered::Read(flow),
                    (Metered::Read(one), Some(Some(other))) => Metered::Read(one.and(other)),
                };
            }
            metered
        };
        Self {
            production: find("production"),
            net: find("net-consumption"),
            total: find("total-consumption"),
            storage: find("storage"),
            other_pv: find("pv3p"),
        }
    }

    /// Whether every meter that is switched on is read.
    pub(super) fn is_complete(&self) -> bool {
        let meters = [self.production, self.net, self.total, self.storage, self.other_pv];
        meters.iter().all(|meter| *meter != Metered::Unread)
    }

    /// What feeds the house besides the grid; `beside` is what has no meter.
    fn sources(&self, beside: Option<Watts>) -> Option<Watts> {
        Watts::total([self.production.flow()?.power, self.other_pv.power(), beside])
    }

    fn grid_power(&self, beside: Option<Watts>) -> Option<Watts> {
        match (self.net.flow(), self.total.flow()) {
            (Some(net), _) => net.power,
            (None, Some(total)) => Watts::total([total.power, self.sources(beside).map(|power| -power)]),
            (None, None) => None,
        }
    }

    pub(super) fn house_power(&self, beside: Option<Watts>) -> Option<Watts> {
        match (self.total.flow(), self.net.flow()) {
            (Some(total), _) => total.power,
            (None, Some(net)) => Watts::total([self.sources(beside), net.power]),
            (None, None) => None,
        }
    }

    /// Produced and imported, not exported; and what the batteries gave back, less what they took. Batteries without a
    /// meter have no total: what they lose and hold counts as used.
    pub(super) fn house_energy(&self) -> Option<WattHours> {
        if let Some(total) = self.total.flow() {
            return total.delivered;
        }
        let [imported, exported] = self.net.flow().map(|net| Metered::Read(net).energy())?;
        let [discharged, charged] = self.storage.energy();
        let [other_pv, _] = self.other_pv.energy();
        let production = self.production.flow()?.delivered;
        WattHours::total([production, other_pv, imported, exported, discharged, charged])
    }

    pub(super) fn grid(&self, beside: Option<Watts>) -> Option<Grid> {
        let power_w = self.grid_power(beside);
        let import_wh = self.net.flow().and_then(|net| net.delivered);
        let export_wh = self.net.flow().and_then(|net| net.received);
        (power_w.is_some() || import_wh.is_some() || export_wh.is_some()).then(|| Grid {
            power_w,
            import_wh,
            export_wh,
            measured_at: self.net.flow().or(self.total.flow()).and_then(|flow| flow.at),
            ..Grid::default()
        })
    }

    pub(super) fn phase(&self, index: usize, beside: Option<Watts>) -> Phase {
        let grid = self.net.flow().map(|net| PhaseValues {
            import_wh: net.delivered,
            export_wh: net.received,
            ..net.electrical()
        });
        let of_total = |total: Flow| PhaseValues {
            power_w: self.grid_power(beside),
            power_factor: None,
            current_a: None,
            ..total.electrical()
        };
        let power = self.house_power(beside);
        let power_w = of_a_house(power);
        let energy = self.house_energy().filter(|energy| *energy >= WattHours::ZERO);
        let energy_wh = energy.filter(|_| power.is_none() || power_w.is_some());
        let house = PhaseValues { power_w, energy_wh, ..PhaseValues::default() };
        Phase {
            phase: format!("L{}", index + 1),
            production: self
                .production
                .flow()
                .map(|flow| PhaseValues { energy_wh: flow.delivered, ..flow.electrical() }),
            grid: grid.or_else(|| self.total.flow().map(of_total).filter(|grid| grid.power_w.is_some())),
            consumption: Some(house).filter(|house| *house != PhaseValues::default()),
            storage: self.storage.flow().map(|flow| PhaseValues {
                charged_wh: flow.received,
                discharged_wh: flow.delivered,
                ..flow.electrical()
            }),
        }
    }
}
