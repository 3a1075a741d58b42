//! What an answer looks like, for a report of something that nobody has seen before: its kind, its length, the
//! names in it. Never a value: it may be a secret.

use serde_json::Value;

/// As many names as are told, and the longest one.
const NAMES: usize = 12;
const LONGEST_NAME: usize = 40;

/// Describes an answer of that `Content-Type`.
pub(super) fn shape(content_type: Option<&str>, body: &[u8]) -> String {
    let kind = content_type.map_or_else(|| "no content type".to_owned(), media_type);
    let held = match serde_json::from_slice(body) {
        _ if body.trim_ascii().is_empty() => return format!("{kind}, empty"),
        Ok(Value::Object(map)) if map.is_empty() => "an empty JSON object".to_owned(),
        Ok(Value::Object(map)) => {
            let names = names(map.keys().map(String::as_str));
            format!("a JSON object with the keys {names}")
        }
        Ok(Value::Array(list)) => format!("a JSON array of {}", list.len()),
        Ok(Value::String(_)) => "a JSON string".to_owned(),
        Ok(_) => "a JSON value".to_owned(),
        Err(_) if body.trim_ascii().starts_with(b"<") => "a page".to_owned(),
        Err(_) if body.trim_ascii().starts_with(b"eyJ") => "text that begins as a token does".to_owned(),
        Err(_) if std::str::from_utf8(body).is_ok() => "text".to_owned(),
        Err(_) => "no text".to_owned(),
    };
    format!("{kind}, {} bytes, {held}", body.len())
}

/// Without its parameters.
fn media_type(header: &str) -> String {
    name(header.split(';').next().unwrap_or_default().trim()).to_owned()
}

/// The names of what came, such as keys or cookies.
pub(super) fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = all.map(name).collect();
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    let told = names.join(", ");
    if more > 0 { format!("{told} and {more} more") } else { told }
}

/// A name as it is, or a dash for what looks like a value in its place: an address, a number, a secret.
fn name(text: &str) -> &str {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let usual = |c: u8| c.is_ascii_alphanumeric() || b"_-./+[]".contains(&c);
    if !text.is_empty() && text.len() <= LONGEST_NAME && digits < 5 && text.bytes().all(usual) {
        text
    } else {
        "-"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_is_told_and_no_value() {
        let json = Some("application/json; charset=utf-8");
        let said = [
            shape(json, br#"{"token":"s3cret","expires_at":7}"#),
            shape(json, b"{}"),
            shape(json, b"[1, 2]"),
            shape(json, b"\"s3cret\""),
            shape(json, b"12345"),
            shape(None, b"s3cret"),
            shape(Some("text/html"), b" <html>s3cret</html>"),
            shape(Some("text/plain"), b"eyJhbGciOi"),
            shape(Some("image/png"), b"\x89PNG"),
            shape(Some("text/plain"), b"\n"),
        ];
        insta::assert_snapshot!(said.join("\n"), @r"
        application/json, 33 bytes, a JSON object with the keys expires_at, token
        application/json, 2 bytes, an empty JSON object
        application/json, 6 bytes, a JSON array of 2
        application/json, 8 bytes, a JSON string
        application/json, 5 bytes, a JSON value
        no content type, 6 bytes, text
        text/html, 20 bytes, a page
        text/plain, 10 bytes, text that begins as a token does
        image/png, 4 bytes, no text
        text/plain, empty
        ");
    }

    #[test]
    fn a_value_in_place_of_a_name_is_not_told() {
        let body = br#"{"owner@example.com":1,"122300000001":2,"0123456789abcdef0123456789abcdef":3,"ok":4}"#;
        assert!(
            shape(None, body).ends_with("a JSON object with the keys -, -, ok, -"),
            "{}",
            shape(None, body)
        );
        assert_eq!(names(["a"; 15].into_iter()), format!("{}a and 3 more", "a, ".repeat(11)));
    }
}
