//! A gateway token: what it says, and where it is kept.
