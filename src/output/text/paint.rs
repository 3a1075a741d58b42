//! ANSI sequences for colours and styles.

/// A colour or style.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paint {
    /// For headings.
    Bold,
    /// For ages and less important values.
    Dim,
    /// For production.
    Yellow,
    /// For export and charging.
    Green,
    /// For import.
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

    /// Returns `text` in this style if `colour` is set. It has to be padded before, because sequences have no width.
    pub(super) fn on(self, text: &str, colour: bool) -> String {
        if colour && !text.is_empty() { format!("{}{text}{RESET}", self.sequence()) } else { text.to_owned() }
    }
}
