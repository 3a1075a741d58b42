//! The causes of an error.

use std::error::Error;
use std::io;
use std::iter::successors;

/// Returns `error` and its causes, outermost first. [`io::Error`] does not return the error that it wraps as its source,
/// but the source of that one.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// Returns the text of the innermost cause, which is what a person can act on.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner(#[source] std::fmt::Error);

    #[test]
    fn an_error_within_an_io_error_is_a_cause_like_any_other() {
        let error = Outer(io::Error::other(Inner(std::fmt::Error)));
        let texts: Vec<String> = causes(&error).map(ToString::to_string).collect();
        assert_eq!(texts[..3], ["outer", "inner", "inner"]);
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(causes(&error).any(<dyn Error>::is::<Inner>));
        assert_eq!(innermost(&error), std::fmt::Error.to_string());
        assert_eq!(innermost(&io::Error::from(io::ErrorKind::NotFound)), "entity not found");
    }
}
