//! The Enphase cloud: log in, fetch a token. Two requests (flow A: docs/protocol.md, section 1.1), made
//! only when the rules of `logins` say so, and never again by themselves. A second factor takes a code more
//! (docs/protocol.md, section 1.5), and a token can be had at another place on the same session (flow B:
//! docs/protocol.md, section 1.2).

pub mod answer;
mod body;
mod call;
mod shape;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderValue};
use reqwest::redirect::Policy;

use crate::base::reading::Serial;
use crate::base::secrets::{Credentials, Secret};
use crate::io::tls;
use answer::{Answer, Cookie, Failure, Kind, SESSION_COOKIE};
use call::{Field, send};

/// For the connection.
const CONNECT: Duration = Duration::from_secs(10);

/// For a whole request, its connection included, so that an answer that trickles ends too.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// Where the two services of the cloud are, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where one logs in.
    pub enlighten: String,
    /// Where tokens are made.
    pub entrez: String,
}

/// A client for one login; dropped after it, because the certificate authorities it holds take memory.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    addresses: Addresses,
}

/// A login that waits for the code of a second factor. It lives in memory alone.
#[derive(Clone, Debug)]
pub struct Challenge {
    username: String,
    /// What ties the code to the login.
    cookies: Secret,
}

/// What came of a login.
#[derive(Debug)]
pub enum Login {
    /// A session.
    Session(Secret),
    /// A code is wanted.
    Challenged(Challenge, Failure),
    /// Nothing.
    Failed(Failure),
}

impl Client {
    /// A client that verifies the cloud's certificates by the platform's authorities. Building it sends
    /// nothing.
    pub fn new(addresses: &Addresses) -> Result<Self, Failure> {
        // A simulated cloud on loopback shows no certificate, and its machine may have no authorities.
        let plain = [&addresses.enlighten, &addresses.entrez].iter().all(|url| url.starts_with("http://"));
        let tls = if plain { tls::empty_config().map_err(Into::into) } else { tls::cloud_config() };
        let tls = tls.map_err(|error| {
            Failure::transient(format!(
                "its certificate could not be checked, because this machine's certificate authorities cannot be \
                 read ({error}); installing the package ca-certificates helps, or correcting SSL_CERT_FILE"
            ))
        })?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            // A proxy of the environment would see the password on its way to a plain-http cloud on loopback, and would
            // be one more party that a login depends on.
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(LONGEST_REQUEST)
            .build()
            .map_err(|_error| Failure::transient("its client could not be made"))?;
        Ok(Self { http, addresses: addresses.clone() })
    }

    /// Logs in. Each success costs the account one of its sessions, which nothing gives back.
    pub async fn login(&self, credentials: &Credentials) -> Login {
        let username = &*credentials.username;
        let form =
            body::form(&[("user[email]", username), ("user[password]", credentials.password.expose())]);
        let url = format!("{}/login/login.json", self.addresses.enlighten);
        let request = self.http.post(url).header(ACCEPT, "application/json").header(CONTENT_TYPE, body::FORM);
        let fields = [Field::Shortened("user[email]", username), Field::Hidden("user[password]")];
        let answer = match send(request.body(form), &fields).await {
            Ok(answer) => answer,
            Err(silence) => return Login::Failed(silence.of_login()),
        };
        match answer::login(&answer) {
            Ok(session) => Login::Session(session),
            Err(failure) if failure.kind == Kind::SecondFactor => {
                let cookies = joined(&answer.cookies);
                Login::Challenged(Challenge { username: username.to_owned(), cookies }, failure)
            }
            Err(failure) => Login::Failed(failure),
        }
    }

    /// Ends a login with the code that the account's owner was sent; a success is the session.
    pub async fn enter_code(&self, challenge: &Challenge, code: &Secret) -> Result<Secret, Failure> {
        let otp = Secret::new(BASE64_STANDARD.encode(code.expose()));
        let sent = self.second_factor("validate_login_otp", challenge, Some(&otp)).await;
        answer::code(&sent.map_err(call::Silence::of_login)?)
    }

    /// Asks for another code.
    pub async fn send_another_code(&self, challenge: &Challenge) -> Result<(), Failure> {
        let sent = self.second_factor("generate_mfa_login_otp", challenge, None).await;
        answer::another_code(&sent.map_err(call::Silence::transient)?)
    }

    async fn second_factor(
        &self,
        page: &str,
        challenge: &Challenge,
        otp: Option<&Secret>,
    ) -> Result<Answer, call::Silence> {
        let email = BASE64_STANDARD.encode(&challenge.username);
        let mut form = vec![("email", email.as_str())];
        form.extend(otp.map(|otp| ("otp", otp.expose())));
        let fields: Vec<Field<'_>> = form.iter().map(|(name, _)| Field::Hidden(name)).collect();
        let url = format!("{}/app-api/{page}", self.addresses.enlighten);
        let request = self.http.post(url).header(ACCEPT, "application/json").header(CONTENT_TYPE, body::FORM);
        send(with_cookies(request.body(body::form(&form)), &challenge.cookies), &fields).await
    }

    /// Fetches the token of the gateway `serial` on a session that is open.
    pub async fn fetch_token(
        &self,
        session: &Secret,
        serial: &Serial,
        username: &str,
    ) -> Result<Secret, Failure> {
        let wish = body::wish(session, serial, username);
        let url = format!("{}/tokens", self.addresses.entrez);
        let request = self.http.post(url).header(ACCEPT, "*/*").header(CONTENT_TYPE, "application/json");
        let fields = [
            Field::Hidden("session_id"),
            Field::Shortened("serial_num", serial.as_str()),
            Field::Shortened("username", username),
        ];
        let sent = send(request.body(wish), &fields).await;
        answer::token(&sent.map_err(call::Silence::transient)?)
    }

    /// The same at the other place that has tokens, for the day that the first one changes.
    pub async fn fetch_token_otherwise(&self, session: &Secret, serial: &Serial) -> Result<Secret, Failure> {
        let encoded: String = form_urlencoded::byte_serialize(serial.as_str().as_bytes()).collect();
        let url = format!("{}/entrez-auth-token?serial_num={encoded}", self.addresses.enlighten);
        let cookie = Secret::new([SESSION_COOKIE, "=", session.expose()].concat());
        let request = self.http.get(url).header(ACCEPT, "application/json");
        let fields = [Field::Shortened("serial_num", serial.as_str())];
        let sent = send(with_cookies(request, &cookie), &fields).await;
        answer::token(&sent.map_err(call::Silence::transient)?)
    }
}

fn with_cookies(request: reqwest::RequestBuilder, cookies: &Secret) -> reqwest::RequestBuilder {
    match HeaderValue::from_maybe_shared(cookies.to_bytes()) {
        Ok(mut value) if !cookies.is_empty() => {
            value.set_sensitive(true);
            request.header(COOKIE, value)
        }
        _ => request,
    }
}

fn joined(cookies: &[Cookie]) -> Secret {
    let parts = cookies.iter().flat_map(|cookie| ["; ", &cookie.name, "=", cookie.value.expose()]);
    Secret::new(parts.skip(1).collect::<Vec<_>>().concat())
}
