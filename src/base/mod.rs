//! The vocabulary of all layers: values with units, time, delays, secrets. Nothing here touches the network or a file.

pub mod backoff;
pub mod body_shape;
pub mod causes;
pub mod clock;
pub mod durations;
pub mod heartbeat;
pub mod message;
pub mod outage;
pub mod printable;
pub mod rate_limit;
pub mod reading;
pub mod secrets;
pub mod similar;
pub mod tally;
#[cfg(test)]
pub mod test_readings;
pub mod units;
pub mod version;
