//! The parts of the page that all readers share: the newest values, made at most once a second, and the files beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::rendered::Document;
use crate::app::history::chart;
use crate::app::history::reader::HistoryReader;
use crate::app::latest::{Availability, CloudReport, Gateway, Snapshot, TokenReport};
use crate::app::status::{Place, Status};
use crate::base::reading::Serial;
use crate::output::page::{Cloud, SCRIPT, STYLE, Site, Today, Token, names};

/// The time for which the newest values are not made again.
const FRESH: Duration = Duration::from_secs(1);
/// The time for which the energies of today are not read again.
const TODAY: Duration = Duration::from_secs(15);
/// How long the page waits for the history. Afterwards it shows the newest values without it.
const PATIENCE: Duration = Duration::from_secs(1);
/// A reading counts as that of now for so many intervals, and at least for the shortest time.
const INTERVALS: u32 = 3;
const SHORTEST: Duration = Duration::from_secs(120);

/// A file beside the page, with what identifies it.
#[derive(Debug)]
pub(super) struct File {
    pub(super) document: Document,
    /// The tag without quotes, for the link.
    pub(super) version: String,
}

impl File {
    fn new(text: &'static str) -> Self {
        let document = Document::of(text);
        let tag = document.tag.as_ref().and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        Self { version: tag.trim_matches('"').to_owned(), document }
    }
}

/// The parts of the page that all readers share.
#[derive(Debug)]
pub struct PageParts {
    pub(super) style: File,
    pub(super) script: File,
    now: Mutex<Option<(u64, Instant, Document)>>,
    today: Mutex<BTreeMap<Serial, (Instant, Date, Today)>>,
}

impl Default for PageParts {
    fn default() -> Self {
        Self {
            style: File::new(STYLE),
            script: File::new(SCRIPT),
            now: Mutex::default(),
            today: Mutex::default(),
        }
    }
}

impl PageParts {
    /// Returns the newest values, from the write `written`. One reader makes them, and those that ask meanwhile wait for it.
    pub(super) async fn now(&self, written: u64, make: impl Future<Output = String>) -> Document {
        let mut kept = self.now.lock().await;
        if let Some((number, at, document)) = &*kept
            && *number == written
            && at.elapsed() < FRESH
        {
            return document.clone();
        }
        let document = Document::of(make.await);
        *kept = Some((written, Instant::now(), document.clone()));
        document
    }

    /// Returns the energies of the date `date` at a gateway, which are at most some seconds old.
    pub(super) async fn today(&self, reader: &HistoryReader, gateway: &Serial, date: Date) -> Today {
        let mut known = self.today.lock().await;
        if let Some((at, day, today)) = known.get(gateway)
            && *day == date
            && at.elapsed() < TODAY
        {
            return today.clone();
        }
        let (file, serial) = (reader.file.clone(), gateway.clone());
        let read = reader.run(move || chart::today(&file, &serial, date));
        let today = match timeout(PATIENCE, read).await {
            Ok(Ok(today)) => today,
            // The last ones are better than none; those of another day are not.
            Ok(Err(_)) | Err(_) => match known.get(gateway) {
                Some((_, day, today)) if *day == date => today.clone(),
                _ => Today::default(),
            },
        };
        known.insert(gateway.clone(), (Instant::now(), date, today.clone()));
        today
    }
}

/// Describes a gateway. Its reading counts as that of now if the gateway responds, every `interval`.
pub(super) fn site(serial: &Serial, gateway: &Gateway, interval: Duration) -> Site {
    let limit = (interval * INTERVALS).max(SHORTEST);
    let is_fresh = gateway.fresh_reading().is_some_and(|reading| reading.at.elapsed() <= limit);
    let trouble = match gateway.availability.as_ref().map(|known| &*known.value) {
        Some(Availability::Offline(reason)) => Some(reason.clone()),
        Some(Availability::Online) | None => None,
    };
    Site {
        serial: serial.clone(),
        name: String::new(),
        reading: gateway.reading.as_ref().map(|reading| Arc::clone(&reading.value)),
        is_fresh,
        trouble,
        token: gateway.token.as_ref().map(|token| self::token(&token.value)),
        today: Today::default(),
    }
}

/// Gives each gateway a short name.
pub(super) fn name(sites: &mut [Site]) {
    let listed: Vec<_> = sites.iter().map(|site| (&site.serial, site.configured_name())).collect();
    let named = names(&listed);
    for (site, name) in sites.iter_mut().zip(named) {
        site.name = name;
    }
}

fn token(report: &TokenReport) -> Token {
    Token {
        state: report.state,
        role: report.role.clone(),
        expires_at: report.expires_at,
        next_login_at: report.next_login_at,
        message: report.message.clone(),
        waiting: report.waiting.clone(),
    }
}

/// Describes the last contact with the cloud.
pub(super) fn cloud(report: &CloudReport) -> Cloud {
    Cloud {
        contacted_at: report.contacted_at,
        reason: report.reason.clone(),
        outcome: report.outcome.clone(),
        held_off: report.held_off_until.zip(report.held_off_because.clone()),
        logins_in_30_days: report.logins_in_30_days,
    }
}

/// Returns the problems of configured gateways whose serial number is not known yet.
pub(super) fn unknown(statuses: &[Place], snapshot: &Snapshot) -> Vec<String> {
    let configured = statuses.iter().filter(|place| place.status != Status::Removed).count();
    if snapshot.gateways().count() >= configured {
        return Vec::new();
    }
    let offline: Vec<&str> = snapshot
        .gateways()
        .filter_map(|(_, gateway)| match gateway.availability.as_ref().map(|known| &*known.value) {
            Some(Availability::Offline(reason)) => Some(reason.as_str()),
            Some(Availability::Online) | None => None,
        })
        .collect();
    let troubles = statuses.iter().filter_map(|place| match &place.status {
        Status::Trouble { message, .. } => Some(message),
        Status::Starting | Status::Read(_) | Status::Removed => None,
    });
    troubles.filter(|words| !offline.contains(&words.as_str())).cloned().collect()
}
