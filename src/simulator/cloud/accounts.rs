//! The state of the simulated cloud (accounts, sessions, tokens) and its responses.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::options::{Account, CloudOptions, SecondFactor};
use super::responses;
use crate::base::clock::Clock;
use crate::simulator::counts::{CloudCounts, Log, Request};
use crate::simulator::fault::{Fault, Faults};
use crate::simulator::jwt;
use crate::simulator::response::{Answer, Delivery};
use crate::simulator::server::Call;

/// The path of the login, at Enlighten.
pub const LOGIN: &str = "/login/login.json";

/// The path of tokens for a session id, at Entrez.
pub const TOKENS: &str = "/tokens";

/// The path of tokens for a session cookie, at Enlighten.
pub const ENTREZ_AUTH_TOKEN: &str = "/entrez-auth-token";

/// The path that checks the code of a second factor, at Enlighten.
pub const VALIDATE_OTP: &str = "/app-api/validate_login_otp";

/// The path that sends another code, at Enlighten.
pub const SEND_OTP: &str = "/app-api/generate_mfa_login_otp";

/// The host that received a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Enlighten,
    Entrez,
}

/// The state of the cloud.
#[derive(Debug)]
pub(super) struct State {
    clock: Clock,
    options: CloudOptions,
    sessions: HashMap<String, Session>,
    /// The issued secrets: session ids and tokens.
    pub(super) secrets: Vec<String>,
    random: fastrand::Rng,
    pub(super) faults: Faults,
    pub(super) log: Log,
    pub(super) counts: CloudCounts,
}

#[derive(Debug)]
struct Session {
    account: Account,
    until: Instant,
}

impl State {
    pub(super) fn new(clock: &Clock, options: CloudOptions) -> Self {
        Self {
            clock: clock.clone(),
            random: fastrand::Rng::with_seed(options.seed),
            options,
            sessions: HashMap::new(),
            secrets: Vec::new(),
            faults: Faults::default(),
            log: Log::default(),
            counts: CloudCounts::default(),
        }
    }

    pub(super) fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    pub(super) fn set_password(&mut self, email: &str, password: &str) {
        for account in self.options.accounts.iter_mut().filter(|account| account.email == email) {
            password.clone_into(&mut account.password);
        }
    }

    /// Responds to one request, and counts it in any case.
    pub(super) fn respond(&mut self, host: Host, call: &Call) -> Answer {
        self.count(call);
        let fault = self.faults.take(&call.target);
        let mut answer =
            fault.as_ref().and_then(Fault::replacement).unwrap_or_else(|| self.normal(host, call));
        if let Some(fault) = fault {
            answer = fault.apply(answer);
        }
        let sent = !matches!(answer.delivery, Delivery::Hung | Delivery::Dropped);
        let status = sent.then_some(answer.status.as_u16());
        self.log.add(Request { time: self.clock.now(), path: call.target.clone(), status });
        answer
    }

    fn count(&mut self, call: &Call) {
        match call.path() {
            LOGIN => {
                self.counts.login_attempts += 1;
                self.counts.login_times.push(self.clock.now());
            }
            VALIDATE_OTP => self.counts.codes_tried += 1,
            TOKENS => self.counts.token_fetches += 1,
            ENTREZ_AUTH_TOKEN => self.counts.other_token_fetches += 1,
            SEND_OTP => self.counts.codes_sent += 1,
            _ => self.counts.other += 1,
        }
    }

    fn normal(&mut self, host: Host, call: &Call) -> Answer {
        match (host, &call.method, call.path()) {
            (Host::Enlighten, &Method::POST, LOGIN) => self.login(call),
            (Host::Enlighten, &Method::GET, ENTREZ_AUTH_TOKEN) => self.entrez_auth_token(call),
            (Host::Enlighten, &Method::POST, VALIDATE_OTP) => self.validate_otp(call),
            (Host::Enlighten, &Method::POST, SEND_OTP) if is_challenged(call) => {
                Answer::json(200, r#"{"success":true,"isBlocked":false}"#)
            }
            (Host::Entrez, &Method::POST, TOKENS) => self.tokens(call),
            _ => Answer::html(404, "<html><body><h1>Not found</h1></body></html>"),
        }
    }

    fn login(&mut self, call: &Call) -> Answer {
        if call.header("accept").is_none() || call.header("user-agent").is_none() {
            return response_of(&responses::not_acceptable());
        }
        let (email, password) = (field(call, "user[email]"), field(call, "user[password]"));
        let known = self.options.accounts.iter().find(|account| {
            Some(&account.email) == email.as_ref() && Some(&account.password) == password.as_ref()
        });
        match known.cloned() {
            None => response_of(&responses::wrong_credentials()),
            Some(Account { second_factor: Some(SecondFactor::Code(_)), .. }) => {
                response_of(&responses::second_factor())
            }
            Some(Account { second_factor: Some(SecondFactor::Demanded), .. }) => {
                response_of(&responses::requires_mfa())
            }
            Some(account) => self.open_session(account),
        }
    }

    /// Opens a session for `account`, unless there are too many.
    fn open_session(&mut self, account: Account) -> Answer {
        self.sessions.retain(|_, session| session.until > Instant::now());
        let open = self.sessions.values().filter(|session| session.account.email == account.email).count();
        if open >= self.options.session_limit {
            return response_of(&responses::too_many_sessions(self.options.session_limit_status));
        }
        self.counts.logins += 1;
        let id = format!("{:032x}", self.random.u128(..));
        let until = Instant::now() + self.options.session_lifetime;
        let manager = self.token(&account, account.serials.first().map_or("", String::as_str));
        self.sessions.insert(id.clone(), Session { account, until });
        self.secrets.extend([id.clone(), manager.clone()]);
        let body = json!({
            "message": "success", "session_id": id, "manager_token": manager, "is_consumer": true,
            "system_id": "4000001", "redirect_url": "",
        });
        Answer::json(200, body.to_string())
            .cookie("_enlighten_4_session", &id)
            .cookie("enlighten_manager_token_production", &manager)
            .cookie("locale", "en")
    }

    /// Checks a code, which comes in base64 with the cookie of its login. The response to a right code was never recorded:
    /// this is a guess.
    fn validate_otp(&mut self, call: &Call) -> Answer {
        let decoded = |name| field(call, name).and_then(|value| decoded(&value));
        let (email, code) = (decoded("email"), decoded("otp"));
        let right = |account: &&Account| {
            let wanted = account.second_factor.as_ref();
            Some(&account.email) == email.as_ref()
                && is_challenged(call)
                && matches!((wanted, &code), (Some(SecondFactor::Code(wanted)), Some(code)) if wanted == code)
        };
        match self.options.accounts.iter().find(right).cloned() {
            Some(account) => self.open_session(account),
            None => Answer::json(200, r#"{"isValid":false,"isBlocked":false}"#),
        }
    }

    /// Responds to `POST /tokens` of Entrez.
    fn tokens(&mut self, call: &Call) -> Answer {
        let Ok(request) = serde_json::from_slice::<Value>(&call.body) else {
            return Answer::json(400, r#"{"message":"Bad Request"}"#);
        };
        let text = |name| request.get(name).and_then(Value::as_str);
        let Some(serial) = text("serial_num") else {
            return Answer::json(400, r#"{"message":"serial_num is required"}"#);
        };
        match self.account(text("session_id").unwrap_or_default()).cloned() {
            Some(account) if text("username") == Some(&account.email) => {
                self.grant(&account, serial, Answer::text)
            }
            _ => Answer::json(401, r#"{"message":"Unauthorized"}"#),
        }
    }

    /// Responds to `GET /entrez-auth-token` of Enlighten, the alternative source of tokens.
    fn entrez_auth_token(&mut self, call: &Call) -> Answer {
        let session = call.cookie("_enlighten_4_session").unwrap_or_default();
        let Some(account) = self.account(session).cloned() else {
            return response_of(&responses::sign_in_first(401));
        };
        let mut pairs = form_urlencoded::parse(call.query().as_bytes());
        let Some((_, serial)) = pairs.find(|(name, _)| name == "serial_num") else {
            return Answer::json(400, r#"{"message":"serial_num is required"}"#);
        };
        let issued = self.clock.now().as_second();
        let expires = issued.saturating_add_unsigned(self.options.token_lifetime.as_secs());
        self.grant(&account, &serial, |status, token| {
            let body = json!({"generation_time": issued, "token": token, "expires_at": expires});
            Answer::json(status, body.to_string())
        })
    }

    fn grant(&mut self, account: &Account, serial: &str, wrap: impl Fn(u16, String) -> Answer) -> Answer {
        if !account.serials.iter().any(|own| own == serial) {
            return response_of(&responses::forbidden());
        }
        self.counts.tokens += 1;
        let token = self.token(account, serial);
        self.secrets.push(token.clone());
        wrap(200, token)
    }

    fn token(&self, account: &Account, serial: &str) -> String {
        let now: Timestamp = self.clock.now();
        jwt::mint(serial, &account.email, self.options.role, now, self.options.token_lifetime)
    }

    fn account(&self, session: &str) -> Option<&Account> {
        let session = self.sessions.get(session)?;
        (session.until > Instant::now()).then_some(&session.account)
    }
}

/// Returns whether the request has the cookie that a login with a second factor sets.
fn is_challenged(call: &Call) -> bool {
    call.cookie("login_otp_nonce") == Some(responses::NONCE)
}

/// Returns the response of a fault.
fn response_of(fault: &Fault) -> Answer {
    fault.replacement().unwrap_or_else(|| Answer::empty(500))
}

/// Returns the decoded value of a form field.
fn field(call: &Call, name: &str) -> Option<String> {
    form_urlencoded::parse(&call.body).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// Decodes text from base64.
fn decoded(value: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(value).ok()?).ok()
}
