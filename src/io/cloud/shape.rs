//! The shape of a response of the cloud, for messages about a response that has never been seen before.

use crate::base::body_shape::{describe, name};
use crate::base::printable::one_line;

/// The maximum number of characters in the description of a body.
const LONGEST: usize = 300;

/// Describes the media type, the length and the body of a response, without any value in it.
pub(super) fn shape(content_type: Option<&str>, body: &[u8]) -> String {
    let media_type = content_type.map_or_else(|| "no content type".to_owned(), media_type);
    match describe(body) {
        empty if empty == "empty" => format!("{media_type}, empty"),
        described => format!("{media_type}, {} bytes, {}", body.len(), one_line(&described, LONGEST)),
    }
}

/// Returns the media type of a `Content-Type` header without its parameters.
fn media_type(header: &str) -> String {
    name(header.split(';').next().unwrap_or_default().trim()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_described_without_its_values() {
        let json = Some("application/json; charset=utf-8");
        let described = [
            shape(json, br#"{"token":"s3cret","expires_at":7}"#),
            shape(json, b"[1, 2]"),
            shape(None, b"s3cret"),
            shape(Some("text/html"), b" <html>s3cret</html>"),
            shape(Some("text/plain"), b"\n"),
        ];
        insta::assert_snapshot!(described.join("\n"), @r"
        application/json, 33 bytes, {expires_at: number, token: text}
        application/json, 6 bytes, [2 × number]
        no content type, 6 bytes, text
        text/html, 20 bytes, a page
        text/plain, empty
        ");
    }

    #[test]
    fn a_long_description_is_cut() {
        let nested = format!("{}0{}", "[{\"key\":".repeat(60), "}]".repeat(60));
        assert!(shape(None, nested.as_bytes()).contains("more characters"));
    }
}
