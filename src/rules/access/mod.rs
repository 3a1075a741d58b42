//! Decides which requests the server answers: by consumer, address and rate.
//!
//! A consumer is identified by its token, otherwise by its address and the name of its program. The limits protect the
//! daemon and the gateway behind it from programs that ask too much; they are not a defence against an attacker inside
//! an open network.

mod bucket;
pub mod consumers;
pub mod guesses;
pub mod host;
pub mod refusal;

use std::time::Duration;

use ipnet::IpNet;

/// The limits of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The networks that need no token.
    pub open_to: Vec<IpNet>,
    /// The maximum number of active consumers.
    pub max_consumers: usize,
    /// The maximum number of streams at a time.
    pub max_streams: usize,
    /// The maximum number of requests of one consumer per minute.
    pub requests_per_minute: u32,
}

/// A consumer without a request for this long is no longer active, and does not count towards the maximum.
pub(super) const INACTIVE: Duration = Duration::from_secs(30 * 60);
