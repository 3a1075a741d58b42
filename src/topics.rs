//! A reading as plain MQTT topics, one value each.
