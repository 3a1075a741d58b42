//! What the gateway's answers look like on the wire, one file for each family of pages.
//!
//! Gateways answer oddly: numbers as text, `null`, fields and rows that come and go with the firmware, an error
//! or a page for people with status 200. So each parser is lenient: an odd field costs itself, an odd row its
//! row, and only an answer that is something else altogether is [`Malformed`]. Fields nobody uses are skipped.
//! Each number is turned into its unit here, whatever the page calls it (mW, mV, J, °F).

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

/// An answer that is not what its page gives. The words say what is odd, never its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// A page for people, or words (firmware 3.8.10 answers `Error: 401` with status 200).
    #[error("it is a page for people where JSON belongs")]
    NotJson,
    /// The answer ends too early.
    #[error("it is cut off")]
    CutOff,
    /// An object that tells of an error, with status 200.
    #[error("it tells of an error although its status is 200")]
    ErrorInside,
    /// More than any gateway has to show.
    #[error("it is longer than any gateway's")]
    TooLong,
    /// JSON of another form.
    #[error("it is not of the form this page has")]
    OtherForm,
}

/// No page is longer: the list of 1,000 devices has 700 bytes for each.
const MOST_BYTES: usize = 1 << 20;
/// No page has more objects: six for each of 1,000 inverters. A row takes a hundred times the memory of the two bytes that
/// make an empty one.
const MOST_OBJECTS: usize = 10_000;

/// Whether a page holds what JSON has no number for, such as `nan`, in place of which it is read as if it were `null`.
pub fn holds_no_number(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let may = ["nan", "NaN", "NAN", "inf", "Inf", "INF"].iter().any(|word| text.contains(word));
    may && !text.starts_with('<') && numbers::mended(&text).is_some()
}

/// Reads `body` into a lenient `T`.
fn document<T: DeserializeOwned>(body: &[u8]) -> Result<T, Malformed> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii();
    match body.first() {
        None => return Err(Malformed::Empty),
        Some(b'{') if tells_of_an_error(body) => return Err(Malformed::ErrorInside),
        Some(b'{' | b'[') => {}
        Some(_) => return Err(Malformed::NotJson),
    }
    if is_too_long(body) {
        return Err(Malformed::TooLong);
    }
    // A serial number with a broken character must not cost the page.
    let text = String::from_utf8_lossy(body);
    let read = match serde_json::from_str(&text) {
        Err(error) if error.is_syntax() => match numbers::mended(&text) {
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
    body.len() > MOST_BYTES || body.iter().filter(|byte| **byte == b'{').count() > MOST_OBJECTS
}

/// `{"error": ..}`, `{"err": ..}` and `{"status": 401, ..}`, which old firmware sends with status 200.
fn tells_of_an_error(body: &[u8]) -> bool {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Complaint {
        #[serde(deserialize_with = "lenient::text")]
        error: Option<String>,
        #[serde(deserialize_with = "lenient::text")]
        err: Option<String>,
        #[serde(deserialize_with = "lenient::number")]
        status: Option<f64>,
    }
    // Complaints are short; a long answer is not read twice.
    body.len() < 512
        && serde_json::from_slice::<Complaint>(body).is_ok_and(|complaint| {
            complaint.error.is_some()
                || complaint.err.is_some()
                || complaint.status.is_some_and(|status| status >= 400.0)
        })
}

#[cfg(test)]
mod tests {
    use super::meters::Meters;
    use super::production::Production;
    use super::*;

    #[test]
    fn what_is_not_the_page_is_told_apart_without_its_text() {
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
