//! No core dump: passwords and tokens are in this memory.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Refuses core dumps, whoever would take them: the kernel asks a program that collects them without a look at the
/// limit. With it, other processes of the same user can neither look into this memory nor into the environment.
pub(super) fn refuse() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "core dumps cannot be refused");
    }
    // The unit's sandbox forbids this one, and has set the limit itself.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::debug!(%error, "the limit for core dumps stays");
    }
}
