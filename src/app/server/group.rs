//! The groups of values that a stream can be limited to.

/// A group of values that a stream can be limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Group {
    Gateways,
    Production,
    Inverters,
    Batteries,
    Events,
    Token,
    Consumers,
}

impl Group {
    /// All groups, in the order in which they are sent.
    pub const ALL: [Self; 7] = [
        Self::Gateways,
        Self::Production,
        Self::Inverters,
        Self::Batteries,
        Self::Token,
        Self::Events,
        Self::Consumers,
    ];

    /// Returns the name, by which it is chosen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateways => "gateways",
            Self::Production => "production",
            Self::Inverters => "inverters",
            Self::Batteries => "batteries",
            Self::Events => "events",
            Self::Token => "token",
            Self::Consumers => "consumers",
        }
    }
}
