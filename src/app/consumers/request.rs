//! Reads from the head of a request which program sent it, and with which token.

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, USER_AGENT};
use axum::http::{HeaderMap, HeaderName};

use crate::base::printable::is_printable;
use crate::rules::access::host;

/// The maximum number of characters of a program's name to keep.
const LONGEST_PROGRAM: usize = 80;

/// The sentence for a request that is addressed to a name of somebody else.
pub const MISDIRECTED: &str =
    "this name is not one of this machine: use its address, or add the name to host_names below [server]";

/// Returns `true` if a request is addressed to a name of somebody else. `names` are the names of this machine.
pub fn is_misdirected(headers: &HeaderMap, names: &[String]) -> bool {
    // Only programs that are no browser leave it out.
    let Some(host) = headers.get(HOST) else { return false };
    !host.to_str().is_ok_and(|name| host::is_allowed(name, names))
}

/// Returns what the program calls itself, without what could control a terminal.
pub fn program(headers: &HeaderMap) -> String {
    let name = header(headers, &USER_AGENT).unwrap_or_default();
    name.chars().filter(|c| is_printable(*c)).take(LONGEST_PROGRAM).collect()
}

/// Returns the token in the header `Authorization`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header(headers, &AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns the values of the cookies called `name`. Some programs send cookies back with their attributes, which have other
/// names.
pub fn cookies<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(found, _)| *found == name).map(|(_, value)| value.trim())
}

/// Returns the text of a header.
pub fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_are_found_among_others_and_among_attributes() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("theme=dark; sessionId=one; Path=/; HttpOnly"));
        headers.append(COOKIE, HeaderValue::from_static("sessionId= two;Path=/"));
        assert_eq!(cookies(&headers, "sessionId").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(cookies(&headers, "session").count(), 0);
    }

    #[test]
    fn a_token_is_a_bearer_token_in_any_case() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(with("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(with("Basic abc"), None);
        assert_eq!(with("Bearer"), None);
    }
}
