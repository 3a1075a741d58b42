//! The bytes that a client sends in place of requests: the fuzzer sends them, and a test sends some of them.

#![allow(dead_code, unreachable_pub, reason = "each fuzz target uses one of these")]

mod exchange;
pub(crate) mod proxy;
pub(crate) mod server;
