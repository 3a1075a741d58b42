//! The version of this program.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version, the commit and its date.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("ENPHASED_BUILD"), ")");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_follows_the_version() {
        let commit = BUILD.strip_prefix(VERSION).unwrap();
        assert!(commit.starts_with(" (") && commit.ends_with(')') && commit.len() > 8, "{BUILD}");
        assert!(!commit.contains("Format"), "{BUILD}");
    }
}
