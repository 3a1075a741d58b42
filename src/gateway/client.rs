//! Requests to one gateway.
