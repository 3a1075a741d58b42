//! Converts readings to text and messages. Nothing here sends anything.

pub mod alerts;
pub mod domoticz;
pub mod history;
pub mod homeassistant;
pub mod influx;
pub mod json;
pub mod meter_stream;
pub mod metrics;
pub mod page;
pub mod text;
pub mod topics;
