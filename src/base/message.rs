//! What is handed to the broker: the one form that all outputs for MQTT make and the publisher sends.

/// A message for an MQTT 3.1.1 broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The full topic, without wildcards.
    pub topic: String,
    /// The text; empty with `retain` it removes what the broker keeps under the topic.
    pub payload: String,
    /// Whether the broker keeps it for those who come later.
    pub retain: bool,
    /// How sure the delivery has to be.
    pub qos: Qos,
}

/// How sure a delivery has to be. MQTT's third level is not used: nothing here harms when it comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Level 0, for state: the next poll brings a newer one. A burst at level 1 beyond the broker's queue
    /// (mosquitto: 1000) would lose its newest messages and end on old values.
    AtMostOnce,
    /// Level 1, for status, discovery and events.
    AtLeastOnce,
}

impl Message {
    /// The state of something: kept by the broker, replaced by the next.
    pub fn state(topic: String, payload: String) -> Self {
        Self { topic, payload, retain: true, qos: Qos::AtMostOnce }
    }

    /// What must be known to whoever comes later: status, availability, discovery.
    pub fn announcement(topic: String, payload: String) -> Self {
        Self { topic, payload, retain: true, qos: Qos::AtLeastOnce }
    }

    /// What happens once: not kept, so that nobody takes it for new at a later connect.
    pub fn once(topic: String, payload: String) -> Self {
        Self { topic, payload, retain: false, qos: Qos::AtLeastOnce }
    }
}
