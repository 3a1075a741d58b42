//! The meters of one place (the site or one phase), and the values computed from several of them.
//!
//! A sum of several meters is of all of them or absent: an enabled meter without a reading is not 0.

use super::flow::{Flow, MeterState};
use crate::base::reading::{Grid, Phase, PhaseValues};
use crate::base::units::{WattHours, Watts};
use crate::io::gateway::wire::meters::{Meter, Meters};

/// The lowest possible power of the house, which cannot produce: slightly negative values are noise between transformers.
const NOISE: f64 = -50.0;

/// Returns the house's power, or `None` if it is impossible.
pub(super) fn of_a_house(power: Option<Watts>) -> Option<Watts> {
    power.filter(|power| power.value() > NOISE)
}

/// The enabled meters of one place: the whole site or one phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MeterSet {
    pub(super) production: MeterState,
    pub(super) net: MeterState,
    pub(super) total: MeterState,
    pub(super) storage: MeterState,
    /// Third-party PV, which feeds the house in addition to the gateway's own production.
    pub(super) other_pv: MeterState,
}

impl MeterSet {
    /// Collects the meters of one place.
    ///
    /// `flow` returns `None` for a meter that is not in this place, and `Some(None)` for one without a reading.
    pub(super) fn new(meters: &Meters, flow: impl Fn(&Meter) -> Option<Option<Flow>>) -> Self {
        let find = |kind: &str| {
            let of_kind = |meter: &&Meter| meter.enabled() && meter.measurement_type.as_deref() == Some(kind);
            let mut seen = Vec::new();
            let mut metered = MeterState::Absent;
            for meter in meters.0.iter().filter(of_kind) {
                // A meter that is listed twice counts once.
                if seen.contains(&meter.eid) {
                    continue;
                }
                seen.push(meter.eid);
                metered = match (metered, flow(meter)) {
                    (metered, None) => metered,
                    (MeterState::Unread, _) | (_, Some(None)) => MeterState::Unread,
                    (MeterState::Absent, Some(Some(flow))) => MeterState::Read(flow),
                    (MeterState::Read(one), Some(Some(other))) => MeterState::Read(one.and(other)),
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

    /// Returns `true` if every enabled meter has a reading.
    pub(super) fn is_complete(&self) -> bool {
        let meters = [self.production, self.net, self.total, self.storage, self.other_pv];
        meters.iter().all(|meter| *meter != MeterState::Unread)
    }

    /// Returns the power that feeds the house besides the grid; `others` is the power of the other sources.
    fn sources(&self, others: Option<Watts>) -> Option<Watts> {
        Watts::total([self.production.flow()?.power, self.other_pv.power(), others])
    }

    fn grid_power(&self, others: Option<Watts>) -> Option<Watts> {
        match (self.net.flow(), self.total.flow()) {
            (Some(net), _) => net.power,
            (None, Some(total)) => Watts::total([total.power, self.sources(others).map(|power| -power)]),
            (None, None) => None,
        }
    }

    pub(super) fn house_power(&self, others: Option<Watts>) -> Option<Watts> {
        match (self.total.flow(), self.net.flow()) {
            (Some(total), _) => total.power,
            (None, Some(net)) => Watts::total([self.sources(others), net.power]),
            (None, None) => None,
        }
    }

    /// Returns production plus import minus export, plus the energy discharged minus the energy charged.
    ///
    /// Batteries without a meter have no total, so the energy that they store or lose counts as used.
    pub(super) fn house_energy(&self) -> Option<WattHours> {
        if let Some(total) = self.total.flow() {
            return total.delivered;
        }
        let [imported, exported] = self.net.flow().map(|net| MeterState::Read(net).energy())?;
        let [discharged, charged] = self.storage.energy();
        let [other_pv, _] = self.other_pv.energy();
        let production = self.production.flow()?.delivered;
        WattHours::total([production, other_pv, imported, exported, discharged, charged])
    }

    pub(super) fn grid(&self, others: Option<Watts>) -> Option<Grid> {
        let power_w = self.grid_power(others);
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

    pub(super) fn phase(&self, index: usize, others: Option<Watts>) -> Phase {
        let grid = self.net.flow().map(|net| PhaseValues {
            import_wh: net.delivered,
            export_wh: net.received,
            ..net.electrical()
        });
        let of_total = |total: Flow| PhaseValues {
            power_w: self.grid_power(others),
            power_factor: None,
            current_a: None,
            ..total.electrical()
        };
        let power = self.house_power(others);
        let power_w = of_a_house(power);
        let energy = self.house_energy().filter(|energy| *energy >= WattHours::ZERO);
        let energy_wh = if power.is_none() || power_w.is_some() { energy } else { None };
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
