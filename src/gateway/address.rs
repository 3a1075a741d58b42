//! Where a gateway is.
