//! The programs that ask over HTTP: their tokens, what they have done, and what admits a request of theirs. The server and
//! the proxies of all gateways share them.

mod followed_tokens;
pub mod listed;
pub mod live_list;
pub mod open_stream;
pub mod registry;
pub mod request;
pub mod tokens;
