//! The tokens and names of consumers: the state file `consumer-tokens.json`, which the commands write and the daemon reads.
//!
//! Only a hash of each token is stored. A token is a JWT with the claims that programs look for in a gateway's token, so
//! that it can be pasted wherever one of those is expected; no program found checks its signature (docs/protocol.md,
//! section 7).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::base::reading::Serial;
use crate::base::secrets::{self, Secret};
use crate::io::state_dir::{Error, StateDir, Stored};
use crate::rules::access::consumers::{Identity, Presented};

/// The name of the file.
pub const NAME: &str = "consumer-tokens.json";
/// The lifetime of a token: ten years, because programs warn about one that ends soon.
const LIFETIME_S: i64 = 10 * 365 * 86_400;
/// The random bytes of an id and of the key.
const RANDOM: usize = 16;
/// The maximum number of removed tokens to remember.
const MOST_REMOVED: usize = 100;

/// The tokens and names of consumers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsumerTokens {
    /// The daemon's own key, which signs tokens.
    #[serde(serialize_with = "secrets::store")]
    key: Secret,
    tokens: Vec<Entry>,
    /// The names of programs without a token.
    #[serde(default)]
    names: Vec<(Identity, String)>,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The id, which is not secret.
    pub id: String,
    /// The name that the operator chose.
    pub name: String,
    /// The SHA-256 of the token, in base64.
    hash: String,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

/// The system has no randomness to give, which does not happen after the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random numbers for a token; try again")]
pub struct NoRandomness;

impl ConsumerTokens {
    /// Returns the stored tokens. A damaged file is set aside: then every token has to be created again.
    pub async fn read(state: &StateDir) -> Result<Option<Self>, Error> {
        match state.read(NAME).await? {
            Stored::Found(tokens) => Ok(Some(tokens)),
            Stored::Absent => Ok(None),
            Stored::Damaged(path) => {
                tracing::warn!(
                    "the tokens of consumers are damaged and were moved to {}: create them again with `enphased \
                     consumer add NAME`",
                    path.display()
                );
                Ok(None)
            }
        }
    }

    /// Creates an empty list with a new key.
    pub fn empty() -> Result<Self, NoRandomness> {
        Ok(Self { key: Secret::new(random()?), tokens: Vec::new(), names: Vec::new() })
    }

    /// Stores the list.
    pub async fn write(&self, state: &StateDir) -> Result<(), Error> {
        state.write(NAME, self).await
    }

    /// Adds a token called `name` for programs that expect one of the gateway `serial`. The token is only returned.
    pub fn add(
        &mut self,
        name: &str,
        serial: Option<&Serial>,
        now: Timestamp,
    ) -> Result<Secret, NoRandomness> {
        let id = random()?;
        let issued = now.as_second();
        let claims = json!({
            "aud": serial.map(Serial::as_str).unwrap_or_default(), "iss": "enphased", "enphaseUser": "owner",
            "username": name, "iat": issued, "exp": issued.saturating_add(LIFETIME_S), "jti": id,
        });
        let token = Secret::new(self.signed(&claims.to_string()));
        let hash = hash(token.expose());
        self.tokens.push(Entry { id, name: name.to_owned(), hash, created_at: now, removed_at: None });
        Ok(token)
    }

    fn signed(&self, claims: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
        let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        format!("{text}.{}", self.mac(&text))
    }

    /// Removes the tokens called `name` or with this id. Returns `false` if there is none.
    pub fn remove(&mut self, name: &str, now: Timestamp) -> bool {
        let named =
            self.tokens.iter_mut().filter(|entry| entry.removed_at.is_none() && entry.is_called(name));
        let removed = named.map(|entry| entry.removed_at = Some(now)).count();
        let gone = self.tokens.iter().filter(|entry| entry.removed_at.is_some()).count();
        let mut surplus = gone.saturating_sub(MOST_REMOVED);
        self.tokens.retain(|entry| {
            let drop = surplus > 0 && entry.removed_at.is_some();
            surplus -= usize::from(drop);
            !drop
        });
        removed > 0
    }

    /// Gives another name to the token called `name` or with this id. Returns `false` if there is none.
    pub fn rename(&mut self, name: &str, new: &str) -> bool {
        let named =
            self.tokens.iter_mut().filter(|entry| entry.removed_at.is_none() && entry.is_called(name));
        named.map(|entry| new.clone_into(&mut entry.name)).count() > 0
    }

    /// Gives a name to a program without a token.
    pub fn name(&mut self, identity: Identity, name: &str) {
        self.names.retain(|(known, _)| *known != identity);
        self.names.push((identity, name.to_owned()));
    }

    /// Returns the tokens that are not removed.
    pub fn tokens(&self) -> impl Iterator<Item = &Entry> {
        self.tokens.iter().filter(|entry| entry.removed_at.is_none())
    }

    /// Returns the name that the operator gave to a consumer.
    pub(super) fn name_of(&self, identity: &Identity) -> Option<&str> {
        match identity {
            Identity::Token(id) => {
                self.tokens.iter().find(|entry| entry.id == *id).map(|entry| entry.name.as_str())
            }
            Identity::Program { .. } => {
                self.names.iter().find(|(known, _)| known == identity).map(|(_, name)| name.as_str())
            }
        }
    }

    /// Returns an index of the tokens, and of their sessions, by their hash.
    pub fn index(&self) -> Index {
        let index = self.tokens.iter().map(|entry| {
            let known = if entry.removed_at.is_some() {
                Presented::Removed
            } else {
                Presented::Known(entry.id.clone())
            };
            (entry.hash.clone(), Indexed { known, created_at: entry.created_at })
        });
        let sessions = index.clone().map(|(text, known)| (hash(&self.session_of(&text)), known));
        Index { sessions: sessions.collect(), tokens: index.collect() }
    }

    /// Returns the session that a program gets for the token with this id: the value of a cookie. It is derived, so that it
    /// survives a restart and ends with the token.
    pub fn session(&self, id: &str) -> Option<String> {
        self.tokens().find(|entry| entry.id == id).map(|entry| self.session_of(&entry.hash))
    }

    /// Derives the session of the token with this hash.
    fn session_of(&self, hash: &str) -> String {
        self.mac(&format!("session {hash}"))
    }

    /// Returns the signature of a text with the daemon's own key.
    fn mac(&self, text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.expose().as_bytes());
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()).as_ref())
    }
}

impl Entry {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.id == name
    }
}

/// The tokens and their sessions by their hash. What is compared is a hash of what was presented, so the time that a look-up
/// takes reveals nothing about a token.
#[derive(Debug, Default)]
pub struct Index {
    tokens: BTreeMap<String, Indexed>,
    sessions: BTreeMap<String, Indexed>,
}

/// The meaning of a token, as long as it has not expired.
#[derive(Clone, Debug)]
struct Indexed {
    known: Presented,
    created_at: Timestamp,
}

impl Indexed {
    fn at(&self, now: Timestamp) -> Presented {
        let is_over = now.as_second().saturating_sub(self.created_at.as_second()) >= LIFETIME_S;
        if is_over { Presented::Removed } else { self.known.clone() }
    }
}

impl Index {
    /// Returns what a presented token is at the time `now`.
    pub(super) fn look_up(&self, token: Option<&str>, now: Timestamp) -> Presented {
        match token {
            None => Presented::Nothing,
            Some(token) => self.tokens.get(&hash(token)).map_or(Presented::Unknown, |token| token.at(now)),
        }
    }

    /// Returns what a presented session is. An unknown one may be that of the gateway itself, which a program has kept.
    pub(super) fn look_up_session(&self, session: &str, now: Timestamp) -> Presented {
        self.sessions.get(&hash(session)).map_or(Presented::Nothing, |session| session.at(now))
    }

    /// Returns `true` if the token with this id is there and not removed.
    pub fn contains(&self, id: &str) -> bool {
        self.tokens.values().any(|token| matches!(&token.known, Presented::Known(known) if known == id))
    }
}

fn hash(token: &str) -> String {
    STANDARD.encode(digest(&SHA256, token.as_bytes()))
}

fn random() -> Result<String, NoRandomness> {
    let mut bytes = [0; RANDOM];
    SystemRandom::new().fill(&mut bytes).map_err(|_unspecified| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn serial() -> Serial {
        Serial::parse("122300000001").unwrap()
    }

    #[test]
    fn a_token_is_known_until_it_is_removed_and_only_its_hash_is_kept() {
        let mut tokens = ConsumerTokens::empty().unwrap();
        let token = tokens.add("evcc", Some(&serial()), NOW).unwrap();
        let id = tokens.tokens().next().unwrap().id.clone();
        assert_eq!(tokens.index().look_up(Some(token.expose()), NOW), Presented::Known(id.clone()));
        assert_eq!(tokens.index().look_up(Some("else"), NOW), Presented::Unknown);
        assert_eq!(tokens.index().look_up(None, NOW), Presented::Nothing);
        let stored = serde_json::to_string(&tokens).unwrap();
        assert!(!stored.contains(token.expose()), "{stored}");
        let end = Timestamp::from_second(LIFETIME_S).unwrap();
        assert_eq!(tokens.index().look_up(Some(token.expose()), end), Presented::Removed, "it has expired");
        assert!(tokens.rename("evcc", "wallbox") && !tokens.rename("evcc", "wallbox"));
        assert_eq!(tokens.name_of(&Identity::Token(id)), Some("wallbox"));
        assert!(tokens.remove("wallbox", NOW) && !tokens.remove("wallbox", NOW));
        assert_eq!(tokens.index().look_up(Some(token.expose()), NOW), Presented::Removed);
        assert_eq!(tokens.tokens().count(), 0);
    }

    #[test]
    fn a_session_is_derived_from_its_token_and_ends_with_it() {
        let mut tokens = ConsumerTokens::empty().unwrap();
        let token = tokens.add("evcc", None, NOW).unwrap();
        tokens.add("else", None, NOW).unwrap();
        let ids: Vec<String> = tokens.tokens().map(|entry| entry.id.clone()).collect();
        let session = tokens.session(&ids[0]).unwrap();
        assert_ne!(tokens.session(&ids[1]).unwrap(), session);
        let stored = serde_json::to_string(&tokens).unwrap();
        assert!(!stored.contains(&session), "{stored}");
        let mut restarted: ConsumerTokens = serde_json::from_str(&stored).unwrap();
        assert_eq!(restarted.index().look_up_session(&session, NOW), Presented::Known(ids[0].clone()));
        assert_eq!(restarted.index().look_up(Some(&session), NOW), Presented::Unknown, "it is not a token");
        assert_eq!(restarted.index().look_up_session(token.expose(), NOW), Presented::Nothing);
        assert!(restarted.remove("evcc", NOW));
        assert_eq!(restarted.index().look_up_session(&session, NOW), Presented::Removed);
        assert_eq!(restarted.session(&ids[0]), None);
    }

    #[test]
    fn programs_find_the_claims_of_a_gateways_token_and_enphased_does_not_take_it_for_one() {
        let token = ConsumerTokens::empty().unwrap().add("evcc", Some(&serial()), NOW).unwrap();
        let claims = token.expose().split('.').nth(1).unwrap();
        let claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(claims["aud"], "122300000001");
        assert_eq!(claims["exp"], LIFETIME_S);
        assert_eq!(claims["enphaseUser"], "owner");
        assert!(crate::io::token::Token::decode(token.expose()).is_err());
    }

    #[test]
    fn removed_tokens_are_forgotten_some_day() {
        let mut tokens = ConsumerTokens::empty().unwrap();
        for n in 0..MOST_REMOVED + 5 {
            tokens.add(&n.to_string(), None, NOW).unwrap();
            assert!(tokens.remove(&n.to_string(), NOW));
        }
        assert_eq!(tokens.tokens.len(), MOST_REMOVED);
    }
}
