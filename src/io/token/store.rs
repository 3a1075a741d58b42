//! The stored tokens of a gateway: `token-SERIAL.json` and its copy, mode 0600.
//!
//! A new token is stored as soon as it arrives, as a candidate beside the one in use. It replaces that one when the
//! gateway has accepted it (L7). Thanks to the copy, a file damaged by a failing SD card costs no login.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Token;
use super::readable::readable;
pub use super::tokens::{Origin, StoredToken, Tokens};
use crate::base::reading::Serial;
use crate::base::secrets::{self, Secret};
use crate::io::state_dir::{Error, StateDir, Stored};

#[derive(Serialize, Deserialize)]
struct OnDisk {
    current: Option<TokenOnDisk>,
    candidate: Option<TokenOnDisk>,
}

#[derive(Serialize, Deserialize)]
struct TokenOnDisk {
    #[serde(serialize_with = "secrets::store")]
    token: Secret,
    #[serde(default)]
    origin: Origin,
    #[serde(default, deserialize_with = "readable")]
    stored_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "readable")]
    verified_at: Option<Timestamp>,
}

impl TokenOnDisk {
    fn from_stored(stored: &StoredToken) -> Self {
        Self {
            token: stored.token.secret.clone(),
            origin: stored.origin.clone(),
            stored_at: Some(stored.stored_at),
            verified_at: stored.verified_at,
        }
    }

    /// Returns the token, if it is complete and for `serial` (L1).
    fn into_stored(self, serial: &Serial) -> Option<StoredToken> {
        let token = Token::decode(self.token.expose()).ok()?;
        if token.serial != *serial {
            return None;
        }
        let stored_at = self.stored_at.unwrap_or(token.issued_at);
        Some(StoredToken { token, origin: self.origin, stored_at, verified_at: self.verified_at })
    }
}

/// The file from which the tokens of a gateway were loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The main file.
    File,
    /// The copy.
    Copy,
    /// Neither exists, or neither can be parsed.
    Nothing,
}

/// The result of loading the tokens of a gateway.
#[derive(Debug)]
pub struct Loaded {
    /// The tokens; empty if none is stored.
    pub tokens: Tokens,
    /// The file with the tokens.
    pub source: Source,
    /// A file that was damaged and set aside.
    pub damaged: Option<PathBuf>,
}

/// Returns the name of the main file of `serial`. Its stamp changes when another process stores tokens.
pub fn name(serial: &Serial) -> String {
    format!("token-{serial}.json")
}

fn copy_name(serial: &Serial) -> String {
    format!("token-{serial}.copy.json")
}

/// Loads the tokens of `serial`, from the copy if the main file is damaged.
pub async fn load(state: &StateDir, serial: &Serial) -> Result<Loaded, Error> {
    let file = read(state, serial, &name(serial)).await;
    let damaged = match &file {
        Ok(Stored::Found(tokens)) if *tokens != Tokens::default() => {
            return Ok(Loaded { tokens: tokens.clone(), source: Source::File, damaged: None });
        }
        Ok(Stored::Absent) => None,
        Ok(Stored::Damaged(path)) => Some(path.clone()),
        // Both files are written with the same content, so a file without a token is damaged if the copy has one.
        Ok(Stored::Found(_)) | Err(_) => Some(state.path().join(name(serial))),
    };
    let copy = match read(state, serial, &copy_name(serial)).await {
        Ok(Stored::Found(tokens)) if tokens != Tokens::default() => {
            return Ok(Loaded { tokens, source: Source::Copy, damaged });
        }
        copy => copy,
    };
    let empty = |source, damaged| Loaded { tokens: Tokens::default(), source, damaged };
    match (file, copy) {
        (Ok(Stored::Found(_)), _) => Ok(empty(Source::File, None)),
        // An unreadable file is not the same as a missing one.
        (Err(error), _) | (_, Err(error)) => Err(error),
        _ => Ok(empty(Source::Nothing, damaged)),
    }
}

/// Reads one of the files. Valid JSON with an invalid token, or with a token for another gateway, also counts as
/// damaged.
async fn read(state: &StateDir, serial: &Serial, name: &str) -> Result<Stored<Tokens>, Error> {
    Ok(match state.read::<OnDisk>(name).await? {
        Stored::Found(disk) => {
            let valid = |stored: Option<TokenOnDisk>| stored.map(|stored| stored.into_stored(serial));
            match (valid(disk.current), valid(disk.candidate)) {
                (Some(None), _) | (_, Some(None)) => Stored::Damaged(state.path().join(name)),
                (current, candidate) => {
                    Stored::Found(Tokens { current: current.flatten(), candidate: candidate.flatten() })
                }
            }
        }
        Stored::Absent => Stored::Absent,
        Stored::Damaged(path) => Stored::Damaged(path),
    })
}

/// Stores the tokens of `serial`. They are safe as soon as the first of the two files is written.
pub async fn save(state: &StateDir, serial: &Serial, tokens: &Tokens) -> Result<(), Error> {
    let disk = OnDisk {
        current: tokens.current.as_ref().map(TokenOnDisk::from_stored),
        candidate: tokens.candidate.as_ref().map(TokenOnDisk::from_stored),
    };
    let first = state.write(&name(serial), &disk).await;
    if matches!(first, Err(Error::Stalled { .. })) {
        // Both wait for the disk.
        return state.write(&copy_name(serial), &disk).await.and(first);
    }
    first?;
    state.write(&copy_name(serial), &disk).await?;
    if is_forgotten(state, serial).await { state.remove(&forgotten_name(serial)).await } else { Ok(()) }
}

/// Removes the tokens of `serial`, and records that a person requested it. Otherwise a running daemon would assume that
/// the files were lost, and store the tokens in its memory again.
pub async fn forget(state: &StateDir, serial: &Serial) -> Result<(), Error> {
    state.write(&forgotten_name(serial), &Forgotten {}).await?;
    state.remove(&copy_name(serial)).await?;
    state.remove(&name(serial)).await
}

/// Returns whether a person has removed the tokens of `serial`, and none has been stored since.
pub async fn is_forgotten(state: &StateDir, serial: &Serial) -> bool {
    matches!(state.stamp(&forgotten_name(serial)).await, Ok(Some(_)))
}

#[derive(Serialize)]
struct Forgotten {}

fn forgotten_name(serial: &Serial) -> String {
    format!("forgotten-{serial}.json")
}

/// Returns the gateways with stored tokens.
pub async fn serials(state: &StateDir) -> Result<Vec<Serial>, Error> {
    let names = state.names("token-", ".json").await?;
    // The copy, `token-SERIAL.copy.json`, is skipped, because a serial number contains no dot.
    let serial = |name: &String| Serial::parse(name.strip_prefix("token-")?.strip_suffix(".json")?).ok();
    Ok(names.iter().filter_map(serial).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn token(jti: &str) -> Token {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;
        let claims = format!(
            r#"{{"aud":"122300000001","iss":"Entrez","enphaseUser":"owner","exp":1795170000,"iat":1763634000,"jti":"{jti}"}}"#
        );
        let parts = [r#"{"alg":"ES256"}"#, &claims, "signature"].map(|part| B64.encode(part));
        Token::decode(&parts.join(".")).unwrap()
    }

    fn setup() -> (tempfile::TempDir, StateDir, Serial, Timestamp) {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(outer.path()).unwrap();
        (outer, state, Serial::parse("122300000001").unwrap(), Timestamp::from_second(1_763_634_000).unwrap())
    }

    #[tokio::test]
    async fn a_new_token_waits_beside_the_old_one() {
        let (_outer, state, serial, now) = setup();
        let mut tokens = Tokens::default();
        tokens.arrived(token("old"), Origin::Login, now);
        tokens.promote(now);
        tokens.arrived(token("new"), Origin::Import, now);
        save(&state, &serial, &tokens).await.unwrap();
        let loaded = load(&state, &serial).await.unwrap().tokens;
        assert_eq!(loaded, tokens);
        assert_eq!(loaded.in_use().unwrap().token, token("old"));
        tokens.promote(now);
        assert_eq!(tokens.in_use().unwrap().token, token("new"));
        assert_eq!(serials(&state).await.unwrap(), [serial]);
        assert!(state.entries().await.unwrap().iter().all(|entry| entry.mode == 0o600));
    }

    #[tokio::test]
    async fn a_file_damaged_at_any_byte_loses_no_token() {
        let (_outer, state, serial, now) = setup();
        let mut tokens = Tokens::default();
        tokens.arrived(token("a"), Origin::Login, now);
        save(&state, &serial, &tokens).await.unwrap();
        let path = state.path().join("token-122300000001.json");
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() - 2 {
            fs::write(&path, &whole[..cut]).unwrap();
            let loaded = load(&state, &serial).await.unwrap();
            assert_eq!(loaded.tokens, tokens, "cut at {cut}");
            assert!(loaded.damaged.is_some(), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_file_without_a_token_beside_a_copy_with_one_is_damaged() {
        let (_outer, state, serial, now) = setup();
        let path = state.path().join(name(&serial));
        for empty in ["{}", r#"{"current":null,"candidate":null}"#, r#"{"Current":{}}"#, r#"{"a":[1]}"#] {
            let mut tokens = Tokens::default();
            tokens.arrived(token("a"), Origin::Login, now);
            save(&state, &serial, &tokens).await.unwrap();
            fs::write(&path, empty).unwrap();
            let loaded = load(&state, &serial).await.unwrap();
            assert_eq!((loaded.tokens, loaded.source), (tokens, Source::Copy), "{empty}");
            assert_eq!(loaded.damaged, Some(path.clone()), "{empty}");
            save(&state, &serial, &Tokens::default()).await.unwrap();
            let loaded = load(&state, &serial).await.unwrap();
            assert_eq!(
                (loaded.tokens, loaded.source, loaded.damaged),
                (Tokens::default(), Source::File, None)
            );
        }
    }

    #[tokio::test]
    async fn a_file_yields_only_tokens_of_the_gateway_that_it_is_named_after() {
        let (_outer, state, serial, now) = setup();
        let mut tokens = Tokens::default();
        tokens.arrived(token("a"), Origin::Login, now);
        save(&state, &serial, &tokens).await.unwrap();
        let other = Serial::parse("122300000002").unwrap();
        let path = |name: String| state.path().join(name);
        for (from, to) in [(name(&serial), name(&other)), (copy_name(&serial), copy_name(&other))] {
            fs::copy(path(from), path(to)).unwrap();
        }
        let loaded = load(&state, &other).await.unwrap();
        assert_eq!((loaded.tokens, loaded.damaged), (Tokens::default(), Some(path(name(&other)))));
        assert_eq!(load(&state, &serial).await.unwrap().tokens, tokens);
        assert_eq!(serials(&state).await.unwrap(), [serial, other], "no copy is taken for a serial number");
    }

    #[tokio::test]
    async fn a_forgotten_token_does_not_come_back() {
        let (_outer, state, serial, now) = setup();
        let mut tokens = Tokens::default();
        tokens.arrived(token("a"), Origin::Login, now);
        save(&state, &serial, &tokens).await.unwrap();
        assert!(!is_forgotten(&state, &serial).await);
        forget(&state, &serial).await.unwrap();
        let forgotten = load(&state, &serial).await.unwrap();
        assert_eq!((forgotten.tokens, forgotten.source), (Tokens::default(), Source::Nothing));
        assert!(is_forgotten(&state, &serial).await && serials(&state).await.unwrap().is_empty());
        save(&state, &serial, &tokens).await.unwrap();
        assert!(!is_forgotten(&state, &serial).await, "until one is stored");
    }

    #[tokio::test]
    async fn unknown_fields_of_another_version_do_not_damage_a_token() {
        let (_outer, state, serial, now) = setup();
        let mut tokens = Tokens::default();
        tokens.arrived(token("a"), Origin::Login, now);
        save(&state, &serial, &tokens).await.unwrap();
        let path = state.path().join(name(&serial));
        let whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let changed = async |key: &str, value: Option<serde_json::Value>| {
            let mut other = whole.clone();
            let stored = other["candidate"].as_object_mut().unwrap();
            match value {
                Some(value) => stored.insert(key.to_owned(), value),
                None => stored.remove(key),
            };
            other["later"] = serde_json::json!({"version": 9});
            fs::write(&path, other.to_string()).unwrap();
            let loaded = load(&state, &serial).await.unwrap();
            assert_eq!((loaded.source, loaded.damaged), (Source::File, None), "{key}");
            let stored = loaded.tokens.candidate.clone().unwrap();
            assert_eq!(stored.token, token("a"));
            save(&state, &serial, &loaded.tokens).await.unwrap();
            assert_eq!(load(&state, &serial).await.unwrap().tokens, loaded.tokens);
            stored.origin
        };
        let word = |word: &str| Some(serde_json::json!(word));
        assert_eq!(changed("origin", word("passkey")).await, Origin::Other("passkey".to_owned()));
        assert_eq!(changed("origin", word("import")).await, Origin::Import);
        for odd in [serde_json::json!({"kind": "login"}), serde_json::json!(7), serde_json::Value::Null] {
            assert_eq!(changed("origin", Some(odd)).await, Origin::default());
        }
        for key in ["origin", "stored_at", "verified_at", "another"] {
            changed(key, None).await;
            changed(key, word("soon")).await;
            changed(key, Some(serde_json::json!(["x"]))).await;
        }
    }

    #[tokio::test]
    async fn the_token_in_use_does_not_become_its_own_candidate() {
        let (_outer, _state, _serial, now) = setup();
        let mut tokens = Tokens::default();
        tokens.arrived(token("a"), Origin::Login, now);
        tokens.promote(now);
        tokens.arrived(token("a"), Origin::Import, now);
        assert_eq!(tokens.candidate, None);
    }
}
