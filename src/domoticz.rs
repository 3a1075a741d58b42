//! A reading as messages to Domoticz, by idx.
