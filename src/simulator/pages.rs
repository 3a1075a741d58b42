//! The recorded pages of one gateway: a folder with one file per page.
//!
//! A file is named after the request target without its leading slash, with `_` in place of `/`, `?`, `=` and `&`. A file
//! `<file>_log.json` may contain the recorded status and headers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use hyper::body::Bytes;
use serde_json::Value;

use super::response::{Answer, Delivery};

/// The headers of openresty on firmware 7 and later.
const OPENRESTY: [(&str, &str); 4] = [
    ("server", "openresty/1.17.8.1"),
    ("strict-transport-security", "max-age=63072000; includeSubdomains"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
];
/// The recorded headers that are not repeated, because the server writes its own.
const NOT_REPEATED: [&str; 5] =
    ["content-length", "transfer-encoding", "date", "set-cookie", "content-encoding"];

/// A recorded page.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) answer: Answer,
    /// The body, if it is JSON and the status was 200.
    pub(super) json: Option<Value>,
    /// `true` if the response to a request with a token opened a session.
    pub(super) opens_session: bool,
}

/// The recorded pages of one gateway; clones share them.
#[derive(Clone, Debug)]
pub struct Pages(Arc<BTreeMap<String, Page>>);

macro_rules! embedded {
    ($folder:literal: $($file:literal)*) => {
        Pages::from_files(&[$(($file, include_bytes!(concat!("../../fixtures/", $folder, "/", $file)))),*])
    };
}

impl Pages {
    /// Reads a folder.
    ///
    /// # Errors
    /// The folder or one of its files cannot be read.
    pub fn from_directory(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let (Ok(name), true) = (entry.file_name().into_string(), entry.file_type()?.is_file()) {
                files.push((name, fs::read(entry.path())?));
            }
        }
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, body)| (name.as_str(), body.as_slice())).collect();
        Ok(Self::from_files(&files))
    }

    /// Firmware 8.3.5289 with production and net consumption transformers on three phases, 12 inverters.
    pub fn metered() -> Self {
        embedded!("8.3.5289_metered": "admin_lib_tariff" "api_v1_production" "api_v1_production_inverters" "info"
            "ivp_ensemble_inventory" "ivp_ensemble_power" "ivp_livedata_status" "ivp_meters" "ivp_meters_readings"
            "ivp_meters_reports" "ivp_pdm_device_data" "ivp_pdm_energy" "production.json" "production.json_details_1")
    }

    /// Firmware 8.3.5289 without transformers, 10 inverters.
    pub fn non_metered() -> Self {
        embedded!("8.3.5289_non_metered": "admin_lib_tariff" "api_v1_production" "api_v1_production_inverters" "info"
            "ivp_ensemble_inventory" "ivp_ensemble_power" "ivp_meters" "ivp_meters_readings" "ivp_pdm_device_data"
            "ivp_pdm_energy" "production.json" "production.json_details_1")
    }

    /// Firmware 8.3.5289 with transformers on a split phase, 14 inverters, two batteries and a system controller.
    pub fn battery() -> Self {
        embedded!("8.3.5289_battery": "admin_lib_tariff" "api_v1_production" "api_v1_production_inverters" "info"
            "ivp_ensemble_dry_contacts" "ivp_ensemble_generator" "ivp_ensemble_inventory" "ivp_ensemble_power"
            "ivp_ensemble_secctrl" "ivp_livedata_status" "ivp_meters" "ivp_meters_readings" "ivp_meters_reports"
            "ivp_pdm_device_data" "ivp_pdm_energy" "ivp_ss_dry_contact_settings" "production.json"
            "production.json_details_1")
    }

    fn from_files(files: &[(&str, &[u8])]) -> Self {
        let info = files.iter().find(|(name, _)| *name == "info").map_or(&[][..], |(_, body)| body);
        let modern = major(&String::from_utf8_lossy(info)) >= 7;
        let page = |(name, body): &(&str, &[u8])| {
            if name.starts_with('_') || name.ends_with("_log.json") {
                return None;
            }
            let log = files.iter().find(|(log, _)| log.strip_suffix("_log.json") == Some(name));
            let log = log.and_then(|(_, log)| serde_json::from_slice(log).ok());
            Some(((*name).to_owned(), Page::new(name, body, log.as_ref(), modern)))
        };
        Self(Arc::new(files.iter().filter_map(page).collect()))
    }

    /// Returns the page of a request target. If it was not recorded, returns an alternative with the same content.
    pub(super) fn find(&self, target: &str) -> Option<(&str, &Page)> {
        let name: String = target
            .strip_prefix('/')
            .unwrap_or(target)
            .chars()
            .map(|c| if ['/', '?', '=', '&'].contains(&c) { '_' } else { c })
            .collect();
        let alternatives: &[&str] = match name.as_str() {
            "info.xml" => &["info"],
            "home.json" => &["home"],
            "production.json" => &["production.json_details_1"],
            "production.json_details_1" => &["production.json"],
            "inventory" | "inventory.json" => &["inventory.json_deleted_1", "inventory"],
            "inventory.json_deleted_1" => &["inventory"],
            _ => &[],
        };
        let mut names = std::iter::once(name.as_str()).chain(alternatives.iter().copied());
        let (name, page) = names.find_map(|name| self.0.get_key_value(name))?;
        Some((name.as_str(), page))
    }

    /// Returns the JSON of a page, by its target.
    pub fn json(&self, target: &str) -> Option<&Value> {
        self.find(target)?.1.json.as_ref()
    }

    fn info(&self) -> String {
        let info =
            self.find("/info").map(|(_, page)| String::from_utf8_lossy(&page.answer.body).into_owned());
        info.unwrap_or_default()
    }

    /// Returns the serial number in `/info`.
    pub fn serial(&self) -> Option<String> {
        element(&self.info(), "sn").map(str::to_owned)
    }

    /// Returns the major version of the firmware; 0 if unknown.
    pub(super) fn major(&self) -> u32 {
        major(&self.info())
    }
}

fn major(info: &str) -> u32 {
    let software = element(info, "software").unwrap_or_default().trim_start_matches(char::is_alphabetic);
    software.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
}

/// Returns the text of the first element with this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

impl Page {
    fn new(name: &str, body: &[u8], log: Option<&Value>, modern: bool) -> Self {
        let status = log.and_then(|log| log["code"].as_u64()).and_then(|code| u16::try_from(code).ok());
        let status = status.unwrap_or(200);
        let mut answer = Answer::bytes(status, Bytes::copy_from_slice(body));
        let (mut opens_session, mut chunked) = (false, false);
        let recorded = log.and_then(|log| log["headers"].as_object());
        for (header, value) in recorded.into_iter().flatten() {
            let (header, value) = (header.to_lowercase(), value.as_str().unwrap_or_default());
            opens_session |= header == "set-cookie";
            chunked |= header == "transfer-encoding" && value.contains("chunked");
            if !NOT_REPEATED.contains(&header.as_str()) {
                answer = answer.header(&header, value);
            }
        }
        if recorded.is_none() {
            if modern {
                answer =
                    OPENRESTY.iter().fold(answer, |answer, (header, value)| answer.header(header, value));
            }
            answer = answer.header("content-type", kind(name, body));
        }
        if chunked {
            answer.delivery = Delivery::Chunked;
        }
        let json = if status == 200 { serde_json::from_slice(body).ok() } else { None };
        Self { answer, json, opens_session }
    }
}

fn kind(name: &str, body: &[u8]) -> &'static str {
    match body.trim_ascii_start().first() {
        _ if name == "info" => "text/xml",
        Some(b'<') => "text/html",
        _ => "application/json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_by_its_target() {
        let pages = Pages::metered();
        for target in ["/info", "/info.xml", "/ivp/pdm/device_data", "/production.json?details=1"] {
            assert!(pages.find(target).is_some(), "{target}");
        }
        assert!(pages.find("/ivp/ensemble/secctrl").is_none());
        assert_eq!(pages.serial().as_deref(), Some("122300000001"));
        assert_eq!(pages.major(), 8);
    }

    #[test]
    fn an_alternative_replaces_a_page_that_was_not_recorded() {
        let pages = Pages::from_files(&[("production.json", b"{}")]);
        assert_eq!(pages.find("/production.json?details=1").unwrap().0, "production.json");
    }

    #[test]
    fn a_log_contains_the_status_and_the_headers() {
        let log = br#"{"code": 401, "headers": {"Content-Type": "text/plain", "Content-Length": "9"}}"#;
        let pages = Pages::from_files(&[("ivp_meters", b"no"), ("ivp_meters_log.json", log)]);
        let (_, page) = pages.find("/ivp/meters").unwrap();
        assert_eq!(page.answer.status, 401);
        assert_eq!(page.answer.headers["content-type"], "text/plain");
        assert!(!page.answer.headers.contains_key("content-length"));
    }

    #[test]
    fn every_embedded_folder_is_complete() {
        let folders = [
            ("8.3.5289_metered", Pages::metered()),
            ("8.3.5289_non_metered", Pages::non_metered()),
            ("8.3.5289_battery", Pages::battery()),
        ];
        for (folder, pages) in folders {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
            let read = Pages::from_directory(&path).unwrap();
            assert!(pages.0.keys().eq(read.0.keys()), "{folder}");
        }
    }
}
