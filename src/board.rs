//! The newest of everything.
