//! Who else can read or change what the daemon keeps and what it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::report::Report;
use crate::app::commands::failure::{Code, Failure};
use crate::app::config::Config;
use crate::io::state_dir::StateDir;

/// What a path is for, which decides who else may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The state directory: the daemon makes it for itself alone (0700).
    State,
    /// A password or a key. A group may read it: an administrator may have made one for that.
    Secret,
    /// The configuration: it names the hosts that a password goes to.
    Configuration,
}

impl Purpose {
    /// What others can do at `mode` that they should not, and the mode that mends it.
    fn excess(self, mode: u32) -> Option<(&'static str, &'static str)> {
        let (read, write, mend) = match self {
            Self::State => (0o055, 0o022, "700"),
            Self::Secret => (0o005, 0o022, "600"),
            Self::Configuration => (0, 0o022, "go-w"),
        };
        if mode & write != 0 {
            Some(("change", mend))
        } else if mode & read != 0 {
            Some(("read", mend))
        } else {
            None
        }
    }

    const fn code(self) -> Code {
        match self {
            Self::State => Code::CannotCreate,
            Self::Secret | Self::Configuration => Code::Configuration,
        }
    }
}

/// Reports what is open to other users, with the command that closes it.
pub(super) async fn check(
    config: &Config,
    state: Option<&StateDir>,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    // By its handle: the way there may be closed to the owner, as below /var/lib/private.
    match state {
        Some(state) => mode(state.path(), state.itself().await?.mode, Purpose::State, "state", report)?,
        None => path(&config.state_dir, Purpose::State, "state", report)?,
    }
    let entries = match state {
        Some(state) => state.entries().await?,
        None => Vec::new(),
    };
    let open = entries.iter().filter(|entry| entry.mode & 0o077 != 0).map(|entry| entry.name.as_str());
    let open: Vec<&str> = open.collect();
    if !open.is_empty() {
        let message = format!("others can read {}; run chmod 600 on them", open.join(", "));
        report.wrong("state", &Failure::new(Purpose::State.code(), message))?;
    }
    if let Some(file) = &config.path {
        path(file, Purpose::Configuration, "configuration", report)?;
    }
    for file in &config.secret_files {
        path(file, Purpose::Secret, "secret", report)?;
    }
    Ok(())
}

/// A path that cannot be looked at is reported where it is used, or is behind a directory that others cannot enter.
fn path(path: &Path, purpose: Purpose, what: &str, report: &mut Report<'_>) -> Result<(), Failure> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    mode(path, metadata.permissions().mode() & 0o7777, purpose, what, report)
}

fn mode(
    path: &Path,
    mode: u32,
    purpose: Purpose,
    what: &str,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    match purpose.excess(mode) {
        None => Ok(()),
        Some((can, mend)) => {
            let shown = path.display();
            let message =
                format!("others can {can} {shown} (mode {mode:04o}); close it with: chmod {mend} {shown}");
            report.wrong(what, &Failure::new(purpose.code(), message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_opens_a_secret_or_a_decision_to_others_is_wrong() {
        for (purpose, mode, wrong) in [
            (Purpose::State, 0o700, None),
            (Purpose::State, 0o755, Some(("read", "700"))),
            (Purpose::State, 0o777, Some(("change", "700"))),
            (Purpose::State, 0o1777, Some(("change", "700"))),
            (Purpose::Secret, 0o600, None),
            (Purpose::Secret, 0o400, None),
            (Purpose::Secret, 0o640, None),
            (Purpose::Secret, 0o644, Some(("read", "600"))),
            (Purpose::Secret, 0o660, Some(("change", "600"))),
            (Purpose::Configuration, 0o644, None),
            (Purpose::Configuration, 0o664, Some(("change", "go-w"))),
            (Purpose::Configuration, 0o666, Some(("change", "go-w"))),
        ] {
            assert_eq!(purpose.excess(mode), wrong, "{purpose:?} {mode:o}");
        }
    }
}
