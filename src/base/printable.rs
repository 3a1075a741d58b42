//! Escapes external text for printing.
//!
//! A gateway, the cloud, a broker or a configuration file may contain line breaks, which forge log lines, escape
//! sequences, which control a terminal, and marks that reverse the direction of writing. Characters that are not printable
//! are escaped as in Rust's `Debug`, and long texts are truncated.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

/// The maximum number of characters of one external text in a line.
pub const LONGEST: usize = 200;

/// Returns `true` if `c` can be printed unchanged.
///
/// Control characters, line and paragraph separators, marks that change the direction of writing or have no width, and
/// unassigned code points cannot.
pub fn is_printable(c: char) -> bool {
    // `escape_debug` also escapes quotes and the backslash, which are printable.
    matches!(c, ' '..='~') || (!c.is_ascii() && c.escape_debug().len() == 1)
}

/// Returns `text` escaped on one line, truncated to `limit` characters with a note of the number left out.
pub fn one_line(text: &str, limit: usize) -> Cow<'_, str> {
    // Avoids a copy of short printable texts, which are the most frequent ones.
    if text.len() <= limit && text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    let mut line = String::new();
    let mut characters = text.chars();
    for c in characters.by_ref().take(limit) {
        push(c, &mut line);
    }
    let more = characters.count();
    if more > 0 {
        // Writing to a string does not fail.
        write!(line, "... ({more} more characters)").ok();
    }
    Cow::Owned(line)
}

fn push(c: char, line: &mut String) {
    if is_printable(c) {
        line.push(c);
    } else {
        line.extend(c.escape_default());
    }
}

/// Escapes the characters of a JSON document that are not printable and that `serde_json` does not escape.
///
/// They are written as `\u` sequences, which every parser reads as the same text.
pub fn json(document: String) -> String {
    if document.chars().all(is_printable) {
        return document;
    }
    let mut clean = String::with_capacity(document.len());
    for c in document.chars() {
        if is_printable(c) {
            clean.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(clean, "\\u{unit:04x}").ok();
        }
    }
    clean
}

/// Displays an external text as [`one_line`] of [`LONGEST`] characters.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&one_line(self.0, LONGEST))
    }
}

/// A writer that escapes characters that are not printable, except line breaks.
///
/// A second barrier for the output of commands, which contains texts from many sources.
#[derive(Debug)]
pub struct Cleaned<W>(pub W);

impl<W: Write> Write for Cleaned<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut clean = String::with_capacity(bytes.len());
        for c in String::from_utf8_lossy(bytes).chars() {
            if c == '\n' {
                clean.push(c);
            } else {
                push(c, &mut clean);
            }
        }
        self.0.write_all(clean.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A character of each kind that affects a terminal or a log.
    const HOSTILE: &str = "\0\t\n\r\x1b\x7f\u{85}\u{9b}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0001}\u{ad}";

    #[test]
    fn what_steers_a_terminal_or_a_log_is_escaped() {
        for c in HOSTILE.chars() {
            assert!(!is_printable(c), "{c:?}");
        }
        assert_eq!(one_line("a\nb\x1b[31m\u{202e}", 100), "a\\nb\\u{1b}[31m\\u{202e}");
        assert!(one_line(HOSTILE, 100).chars().all(is_printable));
    }

    #[test]
    fn plain_text_of_any_language_stays() {
        for text in ["firmware 8.3.5289, \"on\" \\ 'off'", "Zürich 太陽 ☀ 24 °C", ""] {
            assert!(matches!(one_line(text, 100), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(one_line("0123456789", 10), "0123456789");
        assert_eq!(one_line("0123456789abc", 10), "0123456789... (3 more characters)");
        assert_eq!(one_line("üüüü", 4), "üüüü");
        assert_eq!(format!("{:>3}|{:<3}|", Printable("a"), Printable("\x07")), "  a|\\u{7}|");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let document = serde_json::to_string(HOSTILE).unwrap();
        let clean = json(document.clone());
        assert!(clean.chars().all(is_printable), "{clean}");
        assert_eq!(serde_json::from_str::<String>(&clean).unwrap(), HOSTILE);
        assert_eq!(json("{\"a\":1}".to_owned()), "{\"a\":1}");
    }

    #[test]
    fn lines_pass_and_nothing_else_does() {
        let mut out = Cleaned(Vec::new());
        write!(out, "good\nü {HOSTILE}\n").unwrap();
        out.write_all(b"\xff\n").unwrap();
        let text = String::from_utf8(out.0).unwrap();
        assert_eq!(text.lines().count(), 4, "{text:?}: one line break is in the hostile text");
        assert!(text.chars().all(|c| c == '\n' || is_printable(c)), "{text:?}");
    }

    proptest! {
        #[test]
        fn a_line_is_printable_and_short(text in any::<String>(), limit in 0_usize..50) {
            let line = one_line(&text, limit);
            prop_assert!(line.chars().all(is_printable), "{line:?}");
            // An escape has at most ten characters.
            prop_assert!(line.chars().count() <= 10 * limit + 40, "{line:?}");
        }
    }
}
