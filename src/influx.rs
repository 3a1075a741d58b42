//! A reading in InfluxDB line protocol.
