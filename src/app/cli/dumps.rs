//! Core dumps are disabled, because the memory of the process contains passwords and tokens.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Disables core dumps. The limit alone is not enough: the kernel ignores it when a program collects the dumps. A process
/// that is not dumpable also hides its memory and environment from other processes of the same user.
pub(super) fn disable() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "cannot make the process undumpable");
    }
    // The sandbox of the systemd unit forbids this call, and the unit sets the limit itself.
    let zero = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, zero) {
        tracing::debug!(%error, "cannot set the limit for core dumps");
    }
}
