//! What the running daemon was configured with: `running.json`, by which `config validate --reload` sees what a reload
//! would refuse.

use serde::{Deserialize, Serialize};

use crate::app::config::Config;
use crate::io::state_dir::{Saver, StateDir, Stored};

const NAME: &str = "running.json";

/// What the file holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    gateway_tables: usize,
}

/// Notes what the daemon works by from now on. Written only when it differs: an SD card is underneath.
pub(super) async fn note(state: &StateDir, config: &Config) {
    let now = Running { gateway_tables: config.gateway_tables };
    if matches!(state.read::<Running>(NAME).await, Ok(Stored::Found(known)) if known == now) {
        return;
    }
    // A start or a reload does not wait for the disk.
    let saver = Saver::new(NAME.to_owned());
    saver.save(state, &now);
    if let Some(Err(error)) = saver.outcome() {
        tracing::debug!(%error, "what the daemon works by is not noted");
    }
}

/// Why the running daemon would refuse `new` at a reload, although it is valid.
pub async fn refusal(state: &StateDir, new: &Config) -> Option<String> {
    match state.read::<Running>(NAME).await {
        Ok(Stored::Found(running)) => lost_gateways(running.gateway_tables, new),
        // No daemon has run there yet.
        _ => None,
    }
}

/// Why `new` is not taken up by a daemon with that many gateways in its configuration. Without any, a gateway may be
/// found by mDNS; but a file that has lost its tables was emptied or cut off, and is not meant.
pub(super) fn lost_gateways(tables: usize, new: &Config) -> Option<String> {
    if tables == 0 || new.gateway_tables > 0 {
        return None;
    }
    let path = new.path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default();
    Some(format!(
        "the configuration{path} has no [[gateway]] any more: it is empty, cut off or missing. To find the gateway by \
         mDNS instead, restart the service"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config;
    use crate::app::config::environment::Environment;

    fn config(text: &str) -> Config {
        config::complete(text, None, &Environment::default()).unwrap()
    }

    #[tokio::test]
    async fn a_reload_that_would_be_refused_is_seen_before() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(refusal(&state, &config("")).await, None, "nothing has run there");
        note(&state, &config("[[gateway]]")).await;
        assert!(refusal(&state, &config("")).await.unwrap().contains("has no [[gateway]] any more"));
        assert_eq!(refusal(&state, &config("[[gateway]]\naddress = \"envoy\"")).await, None);
        note(&state, &config("")).await;
        assert_eq!(refusal(&state, &config("[mqtt]")).await, None, "it is found by mDNS on purpose");
    }

    #[tokio::test]
    async fn it_is_written_only_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        note(&state, &config("[[gateway]]")).await;
        let first = state.stamp(NAME).await.unwrap();
        note(&state, &config("[[gateway]]\ninterval = \"5s\"")).await;
        assert_eq!(state.stamp(NAME).await.unwrap(), first);
    }
}
