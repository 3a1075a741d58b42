//! Suggestions for misspelt names.

/// The similarity above which a name is suggested, from 0 to 1.
const THRESHOLD: f64 = 0.75;

/// Returns the name in `known` that is most similar to `name`, unless none is similar.
pub fn most_similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.map(|known| (strsim::jaro_winkler(known, name), known));
    let (similarity, best) = rated.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (similarity > THRESHOLD).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised_and_a_different_one_is_not() {
        let known = || ["interval", "address", "serial"].into_iter();
        assert_eq!(most_similar("intervall", known()), Some("interval"));
        assert_eq!(most_similar("adress", known()), Some("address"));
        assert_eq!(most_similar("colour", known()), None);
        assert_eq!(most_similar("interval", std::iter::empty()), None);
    }
}
