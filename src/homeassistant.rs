//! Discovery messages for Home Assistant and Domoticz.
