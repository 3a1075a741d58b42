//! The login promise: whether the cloud may be contacted now, and if not, when and why.
