//! What a request of another program is for. The request target is compared byte for byte: a spelling that only a lenient
//! reader would take for a page is not one.

use super::pages::Page;

/// The paths of the page with which a gateway identifies itself.
pub const INFO: [&str; 2] = ["/info", "/info.xml"];
/// The path of the check of a token.
pub const CHECK_JWT: &str = "/auth/check_jwt";
/// The path of the stream of live values.
pub const STREAM: &str = "/stream/meter";

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The page with which the gateway identifies itself. It needs no token.
    Info,
    /// The check of a token, which opens a session.
    CheckToken,
    /// The stream of live values.
    Stream,
    /// A page of the gateway.
    Page(Page),
    /// Something else.
    Unknown,
    /// Something that can only be read, and the request is for something else.
    WrongMethod,
}

impl Target {
    /// Returns what the request with this method and this request target is for.
    pub fn of(method: &str, target: &str) -> Self {
        let reads = matches!(method, "GET" | "HEAD");
        let found = match target {
            target if INFO.contains(&target) => Self::Info,
            CHECK_JWT if reads || method == "POST" => return Self::CheckToken,
            CHECK_JWT => return Self::WrongMethod,
            STREAM => Self::Stream,
            target => match Page::find(target) {
                Some(page) => Self::Page(page),
                None => return Self::Unknown,
            },
        };
        if reads { found } else { Self::WrongMethod }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::proxy::pages;

    #[test]
    fn only_the_exact_spelling_is_a_page() {
        for target in [
            "/Production.json",
            "/production.json?details=1&x=1",
            "/production.json?details=2",
            "/production.json?",
            "/production.json?details=1#",
            "/production%2ejson",
            "//production.json",
            "/./production.json",
            "/ivp//meters",
            "/ivp/meters/",
            "/ivp/meters/704643328",
            "/ivp/meters;x",
            "/ivp/meters ",
            "/ivp/meters\0",
            "ivp/meters",
            "http://192.168.1.5:8081/ivp/meters",
            "/info/",
            "/INFO",
            "/info?x",
            "/auth/check_jwt?x",
            "*",
            "",
        ] {
            assert_eq!(Target::of("GET", target), Target::Unknown, "{target}");
        }
    }

    #[test]
    fn pages_are_read_and_a_token_may_be_checked_by_post() {
        let inverters = Page::find("/api/v1/production/inverters").unwrap();
        for method in ["GET", "HEAD"] {
            assert_eq!(Target::of(method, inverters.path), Target::Page(inverters));
            assert_eq!(Target::of(method, "/info.xml"), Target::Info);
            assert_eq!(Target::of(method, STREAM), Target::Stream);
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "PATCH", "X"] {
            assert_eq!(Target::of(method, "/admin/lib/tariff"), Target::WrongMethod, "{method}");
            assert_eq!(Target::of(method, "/info"), Target::WrongMethod);
        }
        assert_eq!(Target::of("POST", CHECK_JWT), Target::CheckToken);
        assert_eq!(Target::of("PUT", CHECK_JWT), Target::WrongMethod);
        assert_eq!(Target::of("PUT", "/ivp/ensemble/relay2"), Target::Unknown);
    }

    proptest! {
        /// Whatever is done to a listed target, only another listed one is a page.
        #[test]
        fn a_changed_target_is_no_page(
            place in 0_usize..50, at in 0_usize..40, insert in ".{0,3}", remove in 0_usize..3, upper in any::<bool>(),
        ) {
            let all: Vec<&str> = pages::all().map(|page| page.path).collect();
            let original = all[place % all.len()];
            let mut text: Vec<char> = original.chars().collect();
            let at = at.min(text.len());
            text.drain(at..(at + remove).min(text.len()));
            text.splice(at..at, insert.chars());
            let mut changed: String = text.into_iter().collect();
            if upper {
                changed = changed.to_uppercase();
            }
            match Target::of("GET", &changed) {
                Target::Page(page) => prop_assert_eq!(page.path, changed.as_str()),
                Target::Unknown => prop_assert!(!all.contains(&changed.as_str())),
                other => prop_assert!(false, "{:?} {:?}", changed, other),
            }
        }
    }
}
