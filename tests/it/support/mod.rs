//! Helpers that several tests share.

pub(crate) mod house;
pub(crate) mod log;
pub(crate) mod scripted_gateway;
pub(crate) mod sd_card;
pub(crate) mod webhook;
