//! The state of a simulated gateway, and its responses.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::access::{Access, Credentials};
use super::options::{Condition, GatewayOptions};
use crate::base::clock::Clock;
use crate::base::units::Watts;
use crate::simulator::counts::{GatewayCounts, Log, Request};
use crate::simulator::fault::{Fault, Faults};
use crate::simulator::pages::Pages;
use crate::simulator::patch;
use crate::simulator::response::{Answer, Delivery};
use crate::simulator::server::Call;
use crate::simulator::snapshot::Snapshot;
use crate::simulator::world::World;

const UNAUTHORIZED: &str = "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n\
    <center><h1>401 Authorization Required</h1></center>\r\n<hr><center>openresty/1.17.8.1</center>\r\n\
    </body>\r\n</html>\r\n";
const NOT_FOUND: &str = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n\
    <center><h1>404 Not Found</h1></center>\r\n<hr><center>openresty/1.17.8.1</center>\r\n</body>\r\n</html>\r\n";
const VALID_TOKEN: &[u8] = b"<!DOCTYPE html><h2>Valid token.</h2>\n";

/// The values that the gateway measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measures {
    Everything,
    /// The meters measure no production, but the inverters do.
    NoProduction,
    Nothing,
}

/// The state of a gateway.
#[derive(Debug)]
pub(super) struct State {
    clock: Clock,
    world: World,
    pages: Pages,
    patch: bool,
    silent_inverters: usize,
    delay: Duration,
    /// The serial number without conditions.
    own_serial: String,
    pub(super) access: Access,
    pub(super) faults: Faults,
    pub(super) log: Log,
    without_credentials: u64,
    /// The status that replaces every page.
    page_status: Option<u16>,
    measures: Measures,
    clock_off: SignedDuration,
    firmware: Option<String>,
}

impl State {
    pub(super) fn new(clock: &Clock, world: &World, options: &GatewayOptions) -> Self {
        let own_serial = options.serial.clone().or_else(|| options.pages.serial()).unwrap_or_default();
        Self {
            clock: clock.clone(),
            world: world.clone(),
            pages: options.pages.clone(),
            patch: options.patch,
            silent_inverters: options.silent_inverters,
            delay: options.delay,
            access: Access::new(own_serial.clone(), options.cookie_required),
            own_serial,
            faults: Faults::default(),
            log: Log::default(),
            without_credentials: 0,
            page_status: None,
            measures: Measures::Everything,
            clock_off: SignedDuration::ZERO,
            firmware: None,
        }
    }

    pub(super) fn counts(&self, (connections, handshakes): (u64, u64)) -> GatewayCounts {
        GatewayCounts {
            connections,
            handshakes,
            requests: self.log.total(),
            check_jwt: self.log.by_path().get("/auth/check_jwt").copied().unwrap_or_default(),
            sessions: self.access.opened,
            without_credentials: self.without_credentials,
            paths: self.log.by_path().clone(),
        }
    }

    /// Applies a condition that affects responses.
    pub(super) fn set_condition(&mut self, condition: Condition) {
        match condition {
            Condition::OtherSerial(serial) => self.access.serial = serial,
            Condition::TokensRefused => {
                self.access.tokens_refused = true;
                self.access.end_sessions();
            }
            Condition::DataRefused => self.page_status = Some(401),
            Condition::PagesFail => self.page_status = Some(500),
            Condition::ClockOff(by) => self.clock_off = by,
            Condition::Zeros => self.measures = Measures::Nothing,
            Condition::BlindMeter => self.measures = Measures::NoProduction,
            Condition::Firmware(version) => {
                self.firmware = Some(version);
                self.access.end_sessions();
            }
            Condition::ReplacedKey | Condition::Refusing | Condition::Silent => {}
        }
    }

    pub(super) fn heal(&mut self) {
        self.faults.heal();
        self.access.serial.clone_from(&self.own_serial);
        self.access.tokens_refused = false;
        self.access.revoked_until = None;
        self.page_status = None;
        self.measures = Measures::Everything;
        self.clock_off = SignedDuration::ZERO;
        self.firmware = None;
    }

    /// Returns the time by the gateway's clock.
    pub(super) fn time(&self) -> Timestamp {
        let now = self.clock.now();
        now.saturating_add(self.clock_off).unwrap_or(now)
    }

    /// Responds to one request, and logs it.
    pub(super) fn respond(&mut self, call: &Call) -> Answer {
        let fault = self.faults.take(&call.target);
        let mut answer = fault.as_ref().and_then(Fault::replacement).unwrap_or_else(|| self.normal(call));
        if let Some(fault) = fault {
            answer = fault.apply(answer);
        }
        let date = self.time().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        answer = answer.header("date", &date);
        let sent = !matches!(answer.delivery, Delivery::Hung | Delivery::Dropped);
        let status = sent.then_some(answer.status.as_u16());
        self.log.add(Request { time: self.clock.now(), path: call.target.clone(), status });
        answer
    }

    /// Returns the response without faults.
    fn normal(&mut self, call: &Call) -> Answer {
        let target = call.target.as_str();
        let modern = self.pages.major() >= 7;
        if modern && call.path() == "/auth/check_jwt" {
            return self.check_jwt(call);
        }
        if ![Method::GET, Method::HEAD].contains(&call.method) {
            return Answer::html(405, "<html><body><h2>405 Not Allowed</h2></body></html>");
        }
        if ["/info", "/info.xml"].contains(&target) {
            return self.info();
        }
        if modern { self.behind_token(call) } else { self.behind_digest(call) }
    }

    fn check_jwt(&mut self, call: &Call) -> Answer {
        let now = self.time();
        if !call.bearer().is_some_and(|token| self.access.accepts(token, now)) {
            return Answer::html(401, UNAUTHORIZED);
        }
        let session = self.access.open_session();
        Answer::bytes(200, Bytes::from_static(VALID_TOKEN))
            .header("content-type", "application/octet-stream")
            .cookie("sessionId", &session)
    }

    fn behind_token(&mut self, call: &Call) -> Answer {
        if call.bearer().is_none() && call.cookie("sessionId").is_none() {
            self.without_credentials += 1;
        }
        let credentials = self.access.credentials(call, self.time());
        let (Some(credentials), true) = (credentials, self.page_status != Some(401)) else {
            return Answer::html(401, UNAUTHORIZED);
        };
        if let Some(status) = self.page_status {
            return Answer::html(status, "<html><body><h2>500 Internal Server Error</h2></body></html>");
        }
        let session = self.pages.find(&call.target).is_some_and(|(_, page)| page.opens_session);
        let answer = self.page(&call.target).unwrap_or_else(|| Answer::html(404, NOT_FOUND));
        if session && credentials == Credentials::Bearer {
            return answer.cookie("sessionId", &self.access.open_session());
        }
        answer
    }

    fn behind_digest(&mut self, call: &Call) -> Answer {
        let recorded = self.page(&call.target);
        let good = recorded.as_ref().is_some_and(|answer| answer.status == 200);
        match self.access.digest(call) {
            Err(challenge) if good => {
                Answer::html(401, "<html><body><h2>401 Unauthorized</h2></body></html>")
                    .header("www-authenticate", &challenge)
            }
            _ => recorded.unwrap_or_else(|| Answer::json(404, r#"{ "error" : "404 - Not Found" }"#)),
        }
    }

    /// Returns a recorded page, with the numbers of the simulated house if enabled.
    fn page(&self, target: &str) -> Option<Answer> {
        let (name, page) = self.pages.find(target)?;
        let mut answer = Answer { delay: self.delay, ..page.answer.clone() };
        if let (true, Some(json)) = (self.patch, &page.json) {
            let mut world = self.world.now();
            world.inverters.truncate(world.inverters.len().saturating_sub(self.silent_inverters));
            let world = match self.measures {
                Measures::Nothing => world.zeroed(),
                Measures::NoProduction if name.starts_with("ivp_meters") => {
                    Snapshot { production: Watts::ZERO, ..world }
                }
                Measures::NoProduction | Measures::Everything => world,
            };
            if let Some(patched) = patch::patched(&self.pages, name, json, &world) {
                answer.body = serde_json::to_vec(&patched).unwrap_or_default().into();
            }
        }
        Some(answer)
    }

    /// Returns `/info` with the gateway's clock and serial number, or as it was recorded if patching is disabled.
    fn info(&self) -> Answer {
        let Some((_, page)) = self.pages.find("/info") else { return Answer::html(404, NOT_FOUND) };
        let mut xml = String::from_utf8_lossy(&page.answer.body).into_owned();
        if self.patch {
            xml = with_element(&xml, "time", &self.time().as_second().to_string());
        }
        if self.patch || self.access.serial != self.own_serial {
            xml = with_element(&xml, "sn", &self.access.serial);
        }
        if let Some(firmware) = &self.firmware {
            xml = with_element(&xml, "software", firmware);
        }
        Answer { body: xml.into(), ..page.answer.clone() }
    }
}

/// Replaces the text of the first element with this name.
fn with_element(xml: &str, name: &str, text: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split_once(&open).and_then(|(before, rest)| Some((before, rest.split_once(&close)?.1)));
    match parts {
        Some((before, after)) => format!("{before}{open}{text}{close}{after}"),
        None => xml.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_element_of_a_name_is_changed() {
        let xml = "<a><pn>1</pn><sn>2</sn></a><b><pn>3</pn></b>";
        assert_eq!(with_element(xml, "pn", "9"), "<a><pn>9</pn><sn>2</sn></a><b><pn>3</pn></b>");
        assert_eq!(with_element(xml, "time", "9"), xml);
    }
}
