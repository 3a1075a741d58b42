//! Colours, as ANSI sequences, only where they are wanted.

/// A manner of writing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paint {
    /// Headings.
    Bold,
    /// What is old or beside the point.
    Dim,
    /// What the sun gives.
    Yellow,
    /// What is fed in or charged.
    Green,
    /// What is bought.
    Red,
}

const RESET: &str = "\x1b[0m";

impl Paint {
    const fn sequence(self) -> &'static str {
        match self {
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Yellow => "\x1b[33m",
            Self::Green => "\x1b[32m",
            Self::Red => "\x1b[31m",
        }
    }

    /// `text` in this manner; pad it before, since a sequence has no width.
    pub(super) fn on(self, text: &str, colour: bool) -> String {
        if colour && !text.is_empty() { format!("{}{text}{RESET}", self.sequence()) } else { text.to_owned() }
    }
}
