//! The wire formats of the gateway's pages, one file for each family of pages.
//!
//! Responses vary: numbers as text, `null`, fields and rows that depend on the firmware, an error or an HTML page with
//! status 200. So each parser is lenient: an invalid field costs only itself, and an invalid row only the row. Only a
//! response of an entirely different kind is [`Malformed`]. Unused fields are skipped. Each number is converted to its
//! unit here, from whatever the page uses (mW, mV, J, °F).

mod device_channel;
pub mod device_data;
pub mod energy;
pub mod ensemble;
pub mod inventory;
pub mod inverters;
mod lenient;
pub mod livedata;
pub mod meters;
mod numbers;
pub mod production;
pub mod production_html;
pub mod production_json;
pub mod readings;
pub mod switches;
pub mod tariff;

pub use lenient::Stamp;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// A response that is not the expected page. The message describes what is wrong, and never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An empty response.
    #[error("it is empty")]
    Empty,
    /// HTML or plain text (firmware 3.8.10 returns `Error: 401` with status 200).
    #[error("it is not JSON")]
    NotJson,
    /// A truncated response.
    #[error("it is cut off")]
    CutOff,
    /// An object that describes an error, with status 200.
    #[error("it describes an error although its HTTP status is 200")]
    ErrorInside,
    /// A response with more content than any gateway has.
    #[error("it is longer than this page of any gateway")]
    TooLong,
    /// JSON with another structure.
    #[error("it does not have the structure of this page")]
    OtherForm,
}

/// The size limit of a page: 1,000 devices with 700 bytes each.
const MAX_BYTES: usize = 1 << 20;
/// The maximum number of JSON objects of a page: six for each of 1,000 inverters. A row takes a hundred times the
/// memory of the two bytes of an empty one.
const MAX_OBJECTS: usize = 10_000;

/// Returns whether a page contains numbers that JSON does not have, such as `nan`. They are read as `null`.
pub fn contains_non_numbers(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let may_contain = ["nan", "NaN", "NAN", "inf", "Inf", "INF"].iter().any(|word| text.contains(word));
    may_contain && !text.starts_with('<') && numbers::replace_non_numbers(&text).is_some()
}

/// Parses `body` as a lenient `T`.
fn document<T: DeserializeOwned>(body: &[u8]) -> Result<T, Malformed> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii();
    match body.first() {
        None => return Err(Malformed::Empty),
        Some(b'{') if describes_an_error(body) => return Err(Malformed::ErrorInside),
        Some(b'{' | b'[') => {}
        Some(_) => return Err(Malformed::NotJson),
    }
    if is_too_long(body) {
        return Err(Malformed::TooLong);
    }
    // A serial number with an invalid character must not cost the whole page.
    let text = String::from_utf8_lossy(body);
    let read = match serde_json::from_str(&text) {
        Err(error) if error.is_syntax() => match numbers::replace_non_numbers(&text) {
            Some(mended) => serde_json::from_str(&mended),
            None => Err(error),
        },
        read => read,
    };
    read.map_err(|error| match error.classify() {
        Category::Eof => Malformed::CutOff,
        Category::Data => Malformed::OtherForm,
        Category::Syntax | Category::Io => Malformed::NotJson,
    })
}

#[expect(clippy::naive_bytecount, reason = "a few kB twice a minute")]
fn is_too_long(body: &[u8]) -> bool {
    body.len() > MAX_BYTES || body.iter().filter(|byte| **byte == b'{').count() > MAX_OBJECTS
}

/// Returns whether the body is `{"error": ..}`, `{"err": ..}` or `{"status": 401, ..}`, which old firmware sends with
/// status 200.
fn describes_an_error(body: &[u8]) -> bool {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct ErrorBody {
        #[serde(deserialize_with = "lenient::text")]
        error: Option<String>,
        #[serde(deserialize_with = "lenient::text")]
        err: Option<String>,
        #[serde(deserialize_with = "lenient::number")]
        status: Option<f64>,
    }
    // Error bodies are short; a long response is not parsed twice.
    body.len() < 512
        && serde_json::from_slice::<ErrorBody>(body).is_ok_and(|body| {
            body.error.is_some() || body.err.is_some() || body.status.is_some_and(|status| status >= 400.0)
        })
}

#[cfg(test)]
mod tests {
    use super::meters::Meters;
    use super::production::Production;
    use super::*;

    #[test]
    fn each_kind_of_wrong_page_is_recognized() {
        let why = |body: &str| Meters::parse(body.as_bytes()).unwrap_err();
        assert_eq!(why(" \n"), Malformed::Empty);
        assert_eq!(why("<!DOCTYPE html><title>x</title>"), Malformed::NotJson);
        assert_eq!(why("Error: 401"), Malformed::NotJson);
        assert_eq!(why(r#"[{"eid": 1"#), Malformed::CutOff);
        assert_eq!(why(r#"{"error" : "404 - Not Found"}"#), Malformed::ErrorInside);
        assert_eq!(why(r#"{ "err": "404 - Not Found" }"#), Malformed::ErrorInside);
        assert_eq!(
            why(r#"{"status":401,"error":"","info":"Authentication required"}"#),
            Malformed::ErrorInside
        );
        assert_eq!(why("{}"), Malformed::OtherForm);
    }

    #[test]
    fn a_number_that_json_does_not_have_costs_its_field() {
        for odd in ["nan", "-nan", "inf", "1e999", "NaN"] {
            let body = format!(r#"{{"wattHoursLifetime":8717473,"wattsNow":{odd}}}"#);
            let page = Production::parse(body.as_bytes()).unwrap();
            assert_eq!((page.power, page.lifetime.unwrap().whole()), (None, 8_717_473), "{odd}");
        }
        assert_eq!(Meters::parse(b"[{\"eid\":nan,}]"), Err(Malformed::NotJson));
    }

    #[test]
    fn a_byte_order_mark_and_a_broken_character_cost_nothing() {
        let body = b"\xEF\xBB\xBF[{\"eid\":7,\"state\":\"enabled\",\"measurementType\":\"pr\xFFx\"}]";
        assert_eq!(Meters::parse(body).unwrap().0.len(), 1);
    }
}
