//! The events of `/stream/meter`, in the form of the gateway's own stream (docs/protocol.md): for each group the three
//! phases, with zeros where nothing is measured. Programs expect every number to be there.

use serde_json::{Map, Value, json};

use crate::io::gateway::wire::meters::Meters;

/// The phases, in the order of a meter's channels.
const PHASES: [&str; 3] = ["ph-a", "ph-b", "ph-c"];

/// The values of one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Phase {
    power: f64,
    reactive: f64,
    apparent: f64,
    voltage: f64,
    current: f64,
    factor: f64,
    frequency: f64,
}

impl Phase {
    fn of(channel: &Value) -> Self {
        let number = |name: &str| channel.get(name).and_then(Value::as_f64).unwrap_or_default();
        Self {
            power: number("activePower"),
            reactive: number("reactivePower"),
            apparent: number("apparentPower"),
            voltage: number("voltage"),
            current: number("current"),
            factor: number("pwrFactor"),
            frequency: number("freq"),
        }
    }

    /// Returns what flows where the flows of `self` and `sign` times `other` meet, at the voltage of `self`.
    fn joined(self, other: Self, sign: f64) -> Self {
        let (power, reactive) = (self.power + sign * other.power, self.reactive + sign * other.reactive);
        let apparent = power.hypot(reactive);
        let per = |by: f64, of: f64| if by == 0.0 { 0.0 } else { of / by };
        Self {
            power,
            reactive,
            apparent,
            current: per(self.voltage, apparent),
            factor: per(apparent, power),
            ..self
        }
    }

    fn json(self) -> Value {
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        json!({
            "p": rounded(self.power), "q": rounded(self.reactive), "s": rounded(self.apparent),
            "v": rounded(self.voltage), "i": rounded(self.current), "pf": rounded(self.factor),
            "f": rounded(self.frequency),
        })
    }
}

type Phases = [Phase; 3];

/// Returns the data of one event from the bodies of `/ivp/meters` and `/ivp/meters/readings`, or `None` if the gateway has no
/// meters.
pub fn values(meters: &[u8], readings: &[u8]) -> Option<String> {
    let meters = Meters::parse(meters).ok()?;
    let readings: Vec<Value> = serde_json::from_slice(readings).ok()?;
    let measured = |kind: &str| {
        let mut enabled = meters.0.iter().filter(|meter| meter.enabled());
        let meter = enabled.find(|meter| meter.measurement_type.as_deref() == Some(kind))?;
        let eid = meter.eid?;
        let reading = readings.iter().find(|reading| reading.get("eid") == Some(&Value::from(eid)))?;
        Some(phases(reading, meter.phases()))
    };
    let (production, net, total) =
        (measured("production"), measured("net-consumption"), measured("total-consumption"));
    if production.is_none() && net.is_none() && total.is_none() {
        return None;
    }
    let produced = production.unwrap_or_default();
    // The gateway measures one of the two and computes the other.
    let (net, total) = match (net, total) {
        (Some(net), None) => (net, join(net, produced, 1.0)),
        (None, Some(total)) => (join(total, produced, -1.0), total),
        (net, total) => (net.unwrap_or_default(), total.unwrap_or_default()),
    };
    let groups = [("production", produced), ("net-consumption", net), ("total-consumption", total)];
    let groups: Map<String, Value> =
        groups.into_iter().map(|(name, phases)| (name.to_owned(), group(phases))).collect();
    Some(Value::Object(groups).to_string())
}

/// Returns the phases of a meter. Its other channels contain leftovers.
fn phases(reading: &Value, number: usize) -> Phases {
    let channels = reading.get("channels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut phases = Phases::default();
    for (phase, channel) in phases.iter_mut().zip(channels).take(number) {
        *phase = Phase::of(channel);
    }
    phases
}

fn join(one: Phases, other: Phases, sign: f64) -> Phases {
    let mut joined = Phases::default();
    for ((joined, one), other) in joined.iter_mut().zip(one).zip(other) {
        *joined = one.joined(other, sign);
    }
    joined
}

fn group(phases: Phases) -> Value {
    let phases = PHASES.into_iter().zip(phases);
    Value::Object(phases.map(|(name, phase)| (name.to_owned(), phase.json())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const READINGS: &[u8] = br#"[
        {"eid":1,"channels":[{"activePower":3000.5,"reactivePower":400,"apparentPower":3027,"voltage":230.1,
            "current":13.1,"pwrFactor":0.99,"freq":50.0},{"activePower":9}]},
        {"eid":2,"channels":[{"activePower":-1000.5,"reactivePower":-100,"apparentPower":1005,"voltage":230,
            "current":4.4,"pwrFactor":-0.99,"freq":50.0},{}]}]"#;

    fn meters(second: &str) -> String {
        format!(
            r#"[{{"eid":1,"state":"enabled","measurementType":"production","phaseMode":"single","phaseCount":1}},
                {{"eid":2,"state":"enabled","measurementType":"{second}","phaseMode":"single","phaseCount":1}}]"#
        )
    }

    fn parsed(second: &str) -> Value {
        serde_json::from_str(&values(meters(second).as_bytes(), READINGS).unwrap()).unwrap()
    }

    #[test]
    fn the_house_uses_what_is_produced_and_not_exported() {
        let values = parsed("net-consumption");
        assert_eq!(
            values["production"]["ph-a"],
            json!({"p":3000.5,"q":400.0,"s":3027.0,"v":230.1,"i":13.1,"pf":0.99,"f":50.0})
        );
        assert_eq!(values["net-consumption"]["ph-a"]["p"], -1000.5);
        let house = &values["total-consumption"]["ph-a"];
        assert_eq!((&house["p"], &house["q"], &house["v"]), (&json!(2000.0), &json!(300.0), &json!(230.0)));
        assert_eq!((&house["s"], &house["i"]), (&json!(2022.375), &json!(8.793)));
        for group in ["production", "net-consumption", "total-consumption"] {
            for phase in PHASES {
                assert_eq!(values[group][phase].as_object().unwrap().len(), 7);
            }
            assert_eq!(values[group]["ph-b"]["p"], 0.0, "the channel of a phase that is not there");
        }
    }

    #[test]
    fn a_meter_of_the_whole_house_yields_the_grid() {
        let values = parsed("total-consumption");
        assert_eq!(values["total-consumption"]["ph-a"]["p"], -1000.5);
        assert_eq!(values["net-consumption"]["ph-a"]["p"], -4001.0);
    }

    #[test]
    fn without_meters_there_is_no_stream() {
        assert_eq!(values(b"[]", b"[]"), None);
        assert_eq!(values(meters("storage").as_bytes(), b"[]"), None);
        assert_eq!(values(b"<html>", READINGS), None);
        assert_eq!(values(meters("storage").as_bytes(), b"{"), None);
    }
}
