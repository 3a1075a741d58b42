//! The pages that other programs may read: those of the poller, and those that only other programs use. A request target
//! that is not exactly one of them never reaches the gateway: `/ivp/meters/…` with an unknown name stops every page below
//! `/ivp` until the gateway is restarted, and the web interface has pages that change something.

use std::time::Duration;

use crate::io::gateway::Endpoint;
use crate::io::gateway::endpoint::Cost;
use crate::io::gateway::firmware::Firmware;

/// The shortest time between two requests for a fast page.
const FAST: Duration = Duration::from_secs(5);
/// The shortest time between two requests for a page with an entry for each inverter, which reports every 5 to 15 minutes.
const INVERTERS: Duration = Duration::from_secs(60);
/// The shortest time between two requests for a slow page.
const SLOW: Duration = Duration::from_secs(5 * 60);

/// The size limit of most pages, in bytes.
const LIMIT: usize = 64 << 10;
/// The size limit of a page with an entry for each device.
const LONG: usize = 1 << 20;

/// How often a page may be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A native handler responds in less than 0.1 s.
    Fast,
    /// An entry for each inverter.
    Inverters,
    /// The web application takes seconds.
    Slow,
}

/// A page that other programs may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The request target.
    pub path: &'static str,
    /// The size limit of a response in bytes.
    pub limit: usize,
    /// How often it may be requested.
    pub pace: Pace,
    /// The first firmware that is asked for it.
    pub since: Firmware,
}

const fn page(path: &'static str, pace: Pace) -> Page {
    Page { path, limit: LIMIT, pace, since: Firmware::new(0, 0, 0) }
}

const fn long(path: &'static str, pace: Pace) -> Page {
    Page { limit: LONG, ..page(path, pace) }
}

/// The pages that only other programs use.
const OTHERS: [Page; 33] = [
    page("/production.json", Pace::Slow),
    page("/home", Pace::Slow),
    page("/home.json", Pace::Slow),
    long("/inventory", Pace::Slow),
    long("/inventory.json", Pace::Slow),
    long("/inv", Pace::Slow),
    long("/prov", Pace::Slow),
    page("/datatab/event_dt.rb", Pace::Slow),
    page("/api/v1/consumption", Pace::Fast),
    page("/admin/lib/tariff.json", Pace::Slow),
    page("/admin/lib/acb_config", Pace::Slow),
    page("/ivp/meters/reports", Pace::Fast),
    page("/ivp/meters/reports/production", Pace::Fast),
    page("/ivp/meters/reports/consumption", Pace::Fast),
    // Older firmware does not know these, and an unknown name below /ivp/meters is what stops it.
    Page { since: Firmware::new(8, 3, 0), ..page("/ivp/meters/gridReading", Pace::Fast) },
    Page { since: Firmware::new(8, 3, 0), ..page("/ivp/meters/pvReading", Pace::Fast) },
    page("/ivp/pdm/production", Pace::Fast),
    page("/ivp/ensemble/status", Pace::Fast),
    page("/ivp/ensemble/relay", Pace::Fast),
    long("/ivp/peb/devstatus", Pace::Inverters),
    page("/ivp/peb/newscan", Pace::Slow),
    page("/ivp/mod/603980032/mode/power", Pace::Fast),
    page("/ivp/ss", Pace::Fast),
    page("/ivp/ss/dpel", Pace::Fast),
    page("/ivp/ss/gen_config", Pace::Fast),
    page("/ivp/ss/gen_mode", Pace::Fast),
    page("/ivp/ss/gen_schedule", Pace::Fast),
    page("/ivp/ss/pcs_settings", Pace::Fast),
    page("/ivp/ss/pel_settings", Pace::Fast),
    page("/ivp/sc/pvlimit", Pace::Fast),
    // This asks the inverters over the power line.
    long("/installer/pcu_comm_check", Pace::Slow),
    page("/installer/agf/index.json", Pace::Slow),
    page("/installer/agf/index.json?simplified=true", Pace::Slow),
];

/// Returns all pages that other programs may read.
pub fn all() -> impl Iterator<Item = Page> + Clone {
    Endpoint::ALL.into_iter().map(Page::from).chain(OTHERS)
}

impl From<Endpoint> for Page {
    fn from(endpoint: Endpoint) -> Self {
        let row = endpoint.page();
        let pace = match (endpoint, row.cost) {
            (Endpoint::Inverters | Endpoint::DeviceData, _) => Pace::Inverters,
            (_, Cost::Slow) => Pace::Slow,
            (_, Cost::Fast) => Pace::Fast,
        };
        // Programs may ask any firmware for it: what does not exist is a response too.
        Self { path: row.path, limit: row.limit, pace, since: Firmware::new(0, 0, 0) }
    }
}

impl Page {
    /// Returns the page with exactly this request target.
    pub fn find(target: &str) -> Option<Self> {
        all().find(|page| page.path == target)
    }

    /// Returns the shortest time between two requests, for a gateway that is polled every `interval`.
    pub fn period(&self, interval: Duration) -> Duration {
        match self.pace {
            Pace::Fast => FAST.min(interval),
            Pace::Inverters => INVERTERS,
            Pace::Slow => SLOW,
        }
    }

    /// Returns `true` if the page is JSON.
    pub fn is_json(&self) -> bool {
        ["/ivp/", "/api/", "/admin/lib/"].iter().any(|start| self.path.starts_with(start))
            || self.path.contains(".json")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_is_listed_once_and_has_a_plain_path() {
        let paths: BTreeSet<&str> = all().map(|page| page.path).collect();
        assert_eq!(paths.len(), all().count());
        for path in paths {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._?=".contains(c);
            assert!(path.starts_with('/') && path.chars().all(plain) && !path.contains("//"), "{path}");
        }
    }

    #[test]
    fn a_page_is_requested_as_often_as_its_cost_allows() {
        let period =
            |path: &str, interval| Page::find(path).unwrap().period(Duration::from_secs(interval)).as_secs();
        assert_eq!((period("/ivp/meters/readings", 30), period("/ivp/meters/readings", 2)), (5, 2));
        assert_eq!((period("/api/v1/production/inverters", 30), period("/ivp/pdm/device_data", 1)), (60, 60));
        assert_eq!((period("/production.json?details=1", 30), period("/home", 1)), (300, 300));
    }

    #[test]
    fn nothing_that_only_writes_is_listed() {
        for path in [
            "/ivp/livedata/stream",
            "/installer/agf/set_profile.json",
            "/ivp/meters/704643328",
            "/admin",
            "/",
        ] {
            assert_eq!(Page::find(path), None, "{path}");
        }
    }
}
