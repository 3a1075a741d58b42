//! Checks that other users of this machine cannot read the daemon's secrets or change its configuration and state.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::report::Report;
use crate::app::commands::failure::{Code, Failure};
use crate::app::config::Config;
use crate::io::state_dir::StateDir;

/// The purpose of a path, which decides how other users may access it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The state directory, which the daemon creates with mode 0700.
    State,
    /// A password or a key. A group may read it, because an administrator may have created one for that.
    Secret,
    /// The configuration. It names the hosts that a password is sent to, but contains no secret.
    Configuration,
}

impl Purpose {
    /// Returns what other users can do at `mode` but should not, and the mode that prevents it.
    fn excess(self, mode: u32) -> Option<(&'static str, &'static str)> {
        let (read, write, fix) = match self {
            Self::State => (0o055, 0o022, "700"),
            Self::Secret => (0o005, 0o022, "600"),
            Self::Configuration => (0, 0o022, "go-w"),
        };
        if mode & write != 0 {
            Some(("change", fix))
        } else if mode & read != 0 {
            Some(("read", fix))
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

/// Reports files that other users can access, with the command that prevents it.
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
        let message = format!("other users can read {}; run chmod 600 on these files", open.join(", "));
        report.wrong("state", &Failure::new(Purpose::State.code(), message))?;
    }
    if let Some(file) = &config.path {
        path(file, Purpose::Configuration, "configuration", report)?;
    }
    for file in &config.secret_files {
        if config.path.as_ref() == Some(file) {
            configuration_with_secret(file, report)?;
        } else {
            path(file, Purpose::Secret, "secret", report)?;
        }
    }
    Ok(())
}

/// Checks the configuration that contains the address for alerts. The daemon may run as another user, so the configuration
/// is not simply closed to others.
fn configuration_with_secret(path: &Path, report: &mut Report<'_>) -> Result<(), Failure> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o7777;
    if Purpose::Secret.excess(mode).is_none_or(|(access, _)| access != "read") {
        return Ok(());
    }
    let message = format!(
        "other users can read {} (mode {mode:04o}), which contains the address for alerts; write the address to a file of \
         its own, and the path of that file to url_file below [alerts]",
        path.display()
    );
    report.wrong("secret", &Failure::new(Purpose::Secret.code(), message))
}

/// Checks one path. A path that cannot be inspected is reported where it is used, or other users cannot reach it either.
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
        Some((access, fix)) => {
            let shown = path.display();
            let message =
                format!("other users can {access} {shown} (mode {mode:04o}); run: chmod {fix} {shown}");
            report.wrong(what, &Failure::new(purpose.code(), message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_let_others_read_a_secret_or_change_a_file_are_wrong() {
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
