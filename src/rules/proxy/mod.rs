//! What other programs get of a gateway's pages: the exact list, and whether a page is served from memory, requested, or
//! not available.

pub mod cache;
pub mod info;
pub mod outcome;
pub mod pages;
mod record;
pub mod target;
