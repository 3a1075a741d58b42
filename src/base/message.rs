//! MQTT messages, as created by the outputs and sent by the publisher.

/// A message for an MQTT 3.1.1 broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The full topic, without wildcards.
    pub topic: String,
    /// The text. An empty payload with `retain` removes the topic's retained message.
    pub payload: String,
    /// The broker keeps the message for later subscribers.
    pub retain: bool,
    /// The quality of service.
    pub qos: Qos,
}

/// The quality of service of a delivery. Level 2 is not used: all messages may be delivered twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Level 0, for state: the next poll brings a newer one. A burst at level 1 beyond the broker's queue
    /// (mosquitto: 1000) would lose its newest messages and end on old values.
    AtMostOnce,
    /// Level 1, for status, discovery and events.
    AtLeastOnce,
}

impl Message {
    /// Creates a retained message with a state, which the next one replaces.
    pub fn state(topic: String, payload: String) -> Self {
        Self { topic, payload, retain: true, qos: Qos::AtMostOnce }
    }

    /// Creates a retained message that later subscribers need: status, availability, discovery.
    pub fn announcement(topic: String, payload: String) -> Self {
        Self { topic, payload, retain: true, qos: Qos::AtLeastOnce }
    }

    /// Creates a message about an event. It is not retained, so that later subscribers do not mistake it for a new one.
    pub fn once(topic: String, payload: String) -> Self {
        Self { topic, payload, retain: false, qos: Qos::AtLeastOnce }
    }
}
