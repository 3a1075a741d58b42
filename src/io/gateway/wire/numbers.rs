//! Numbers that JSON does not have: `nan` and `inf`, as C prints them, and numbers beyond the range of `f64`. Such a
//! number must cost only its field, not the page.

/// Replaces each such number by `null`. Returns `None` if there is none.
pub(super) fn replace_non_numbers(text: &str) -> Option<String> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || is_in_word(c)) {
        let (before, from) = rest.split_at(at);
        replaced.push_str(before);
        let length = if from.starts_with('"') { text_length(from) } else { word_length(from) };
        let (token, after) = from.split_at(length);
        replaced.push_str(if is_non_number(token) { "null" } else { token });
        rest = after;
    }
    replaced.push_str(rest);
    (replaced != text).then_some(replaced)
}

fn is_in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')
}

fn word_length(from: &str) -> usize {
    from.find(|c| !is_in_word(c)).unwrap_or(from.len())
}

/// Returns the length of the string literal at the beginning of `from`, with its quotes.
fn text_length(from: &str) -> usize {
    let mut escaped = false;
    let end = from.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(from.len(), |(at, _)| at + 1)
}

/// Returns whether `token` is such a number. `f64` parses `nan`, `inf` and `infinity` in any case, with or without a
/// sign, and 1e999 as infinite.
fn is_non_number(token: &str) -> bool {
    token.parse::<f64>().is_ok_and(|number| !number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_non_numbers_become_null() {
        let odd =
            r#"{"a":nan,"nan":-nan ,"b":[-inf,Infinity, NaN,1e999,-1.5e-3,true],"c":"x \" nan","d":null}"#;
        let replaced = replace_non_numbers(odd).unwrap();
        assert_eq!(
            replaced,
            r#"{"a":null,"nan":null ,"b":[null,null, null,null,-1.5e-3,true],"c":"x \" nan","d":null}"#
        );
        assert!(serde_json::from_str::<serde_json::Value>(&replaced).is_ok());
    }

    #[test]
    fn a_text_without_non_numbers_is_unchanged() {
        for text in ["", "[1,2", r#"{"a":"nan"}"#, "\"", "nanny", r#"{"é":1}"#] {
            assert_eq!(replace_non_numbers(text), None, "{text}");
        }
    }
}
