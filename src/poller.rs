//! The poll loop of one gateway.
