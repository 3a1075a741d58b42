//! The state directory: files that survive a power cut, and locks.
