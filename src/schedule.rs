//! When to poll again.
