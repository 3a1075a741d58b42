//! The programs that ask over HTTP: their tokens, what they have done, and what admits a request of theirs. The server and
//! the proxies of all gateways share them.

pub mod listed;
pub mod live_list;
pub mod registry;
pub mod request;
pub mod tokens;
