//! Numbers that JSON does not have: `nan` and `inf`, as C prints them, and numbers that no `f64` holds. One of them must
//! cost its field, not the page.

/// The text with `null` in place of each such number; `None` when it has none.
pub(super) fn mended(text: &str) -> Option<String> {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || is_in_word(c)) {
        let (before, from) = rest.split_at(at);
        mended.push_str(before);
        let length = if from.starts_with('"') { text_length(from) } else { word_length(from) };
        let (token, after) = from.split_at(length);
        mended.push_str(if is_no_number(token) { "null" } else { token });
        rest = after;
    }
    mended.push_str(rest);
    (mended != text).then_some(mended)
}

fn is_in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')
}

fn word_length(from: &str) -> usize {
    from.find(|c| !is_in_word(c)).unwrap_or(from.len())
}

/// The length of the text that begins here, with its quotes.
fn text_length(from: &str) -> usize {
    let mut escaped = false;
    let end = from.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(from.len(), |(at, _)| at + 1)
}

/// `f64` reads exactly these: `nan`, `inf` and `infinity` in any case, with a sign or not, and 1e999 as infinite.
fn is_no_number(token: &str) -> bool {
    token.parse::<f64>().is_ok_and(|number| !number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_no_number_becomes_null() {
        let odd =
            r#"{"a":nan,"nan":-nan ,"b":[-inf,Infinity, NaN,1e999,-1.5e-3,true],"c":"x \" nan","d":null}"#;
        let mended = mended(odd).unwrap();
        assert_eq!(
            mended,
            r#"{"a":null,"nan":null ,"b":[null,null, null,null,-1.5e-3,true],"c":"x \" nan","d":null}"#
        );
        assert!(serde_json::from_str::<serde_json::Value>(&mended).is_ok());
    }

    #[test]
    fn what_has_none_is_left_alone() {
        for text in ["", "[1,2", r#"{"a":"nan"}"#, "\"", "nanny", r#"{"é":1}"#] {
            assert_eq!(mended(text), None, "{text}");
        }
    }
}
