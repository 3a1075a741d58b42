//! The Enphase cloud: logs in and fetches a token. These are two requests (flow A: docs/protocol.md, section 1.1), sent
//! only when the rules of `logins` allow it, and never retried here. A second factor also needs a code
//! (docs/protocol.md, section 1.5). The same session can fetch a token from another source (flow B: docs/protocol.md,
//! section 1.2).

pub mod classify;
pub mod failure;
mod http;
mod request_body;
mod response;
mod shape;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderValue};
use reqwest::redirect::Policy;

use crate::base::reading::Serial;
use crate::base::secrets::{Credentials, Secret};
use crate::io::tls;
use http::{Field, NoResponse, send};
use response::SESSION_COOKIE;

pub use crate::io::retry_after::RetryAfter;
pub use failure as answer;
pub use failure::{Failure, Kind};
pub use response::{Cookie, Response};

/// The connect timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout for a whole request, including the connection, so that a slow response ends too.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// The addresses of the two services of the cloud, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The service for logins.
    pub enlighten: String,
    /// The service for tokens.
    pub entrez: String,
}

/// A client for one login. It is dropped afterwards, because its certificate authorities take memory.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    addresses: Addresses,
}

/// A login that waits for the code of a second factor. It is never stored.
#[derive(Clone, Debug)]
pub struct Challenge {
    username: String,
    /// The cookies that connect the code with the login.
    cookies: Secret,
}

/// The result of a login.
#[derive(Debug)]
pub enum Login {
    /// The login succeeded with this session.
    Session(Secret),
    /// A code is required.
    Challenged(Challenge, Failure),
    /// The login failed.
    Failed(Failure),
}

impl Client {
    /// Creates a client that verifies certificates with the platform's certificate authorities. Sends nothing.
    pub fn new(addresses: &Addresses) -> Result<Self, Failure> {
        // A simulated cloud on loopback has no certificate, and its machine may have no certificate authorities.
        let plain = [&addresses.enlighten, &addresses.entrez].iter().all(|url| url.starts_with("http://"));
        let tls = if plain { tls::empty_config().map_err(Into::into) } else { tls::cloud_config() };
        let tls = tls.map_err(|error| {
            Failure::transient(format!(
                "the cloud's certificate cannot be checked, because the certificate authorities of this machine cannot be \
                 read ({error}); install the package ca-certificates, or correct SSL_CERT_FILE"
            ))
        })?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            // A proxy from the environment would see the password if the cloud is simulated over plain http, and a
            // login would depend on one more party.
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(LONGEST_REQUEST)
            .build()
            .map_err(|_error| Failure::transient("the HTTP client cannot be created"))?;
        Ok(Self { http, addresses: addresses.clone() })
    }

    /// Logs in. Each success uses up one of the sessions of the account, and none can be released.
    pub async fn login(&self, credentials: &Credentials) -> Login {
        let username = &*credentials.username;
        let form = request_body::form(&[
            ("user[email]", username),
            ("user[password]", credentials.password.expose()),
        ]);
        let url = format!("{}/login/login.json", self.addresses.enlighten);
        let request =
            self.http.post(url).header(ACCEPT, "application/json").header(CONTENT_TYPE, request_body::FORM);
        let fields = [Field::Shortened("user[email]", username), Field::Hidden("user[password]")];
        let response = match send(request.body(form), &fields).await {
            Ok(response) => response,
            Err(error) => return Login::Failed(error.of_login()),
        };
        match classify::login(&response) {
            Ok(session) => Login::Session(session),
            Err(failure) if failure.kind == Kind::SecondFactor => {
                let cookies = joined(&response.cookies);
                Login::Challenged(Challenge { username: username.to_owned(), cookies }, failure)
            }
            Err(failure) => Login::Failed(failure),
        }
    }

    /// Completes a login with the code that the cloud sent to the owner of the account. Returns the session.
    pub async fn enter_code(&self, challenge: &Challenge, code: &Secret) -> Result<Secret, Failure> {
        let otp = Secret::new(BASE64_STANDARD.encode(code.expose()));
        let sent = self.second_factor("validate_login_otp", challenge, Some(&otp)).await;
        classify::code(&sent.map_err(NoResponse::of_login)?)
    }

    /// Requests another code.
    pub async fn send_another_code(&self, challenge: &Challenge) -> Result<(), Failure> {
        let sent = self.second_factor("generate_mfa_login_otp", challenge, None).await;
        classify::another_code(&sent.map_err(NoResponse::transient)?)
    }

    async fn second_factor(
        &self,
        page: &str,
        challenge: &Challenge,
        otp: Option<&Secret>,
    ) -> Result<Response, NoResponse> {
        let email = BASE64_STANDARD.encode(&challenge.username);
        let mut form = vec![("email", email.as_str())];
        form.extend(otp.map(|otp| ("otp", otp.expose())));
        let fields: Vec<Field<'_>> = form.iter().map(|(name, _)| Field::Hidden(name)).collect();
        let url = format!("{}/app-api/{page}", self.addresses.enlighten);
        let request =
            self.http.post(url).header(ACCEPT, "application/json").header(CONTENT_TYPE, request_body::FORM);
        send(with_cookies(request.body(request_body::form(&form)), &challenge.cookies), &fields).await
    }

    /// Fetches the token of the gateway `serial` with an open session.
    pub async fn fetch_token(
        &self,
        session: &Secret,
        serial: &Serial,
        username: &str,
    ) -> Result<Secret, Failure> {
        let body = request_body::token_request(session, serial, username);
        let url = format!("{}/tokens", self.addresses.entrez);
        let request = self.http.post(url).header(ACCEPT, "*/*").header(CONTENT_TYPE, "application/json");
        let fields = [
            Field::Hidden("session_id"),
            Field::Shortened("serial_num", serial.as_str()),
            Field::Shortened("username", username),
        ];
        let sent = send(request.body(body), &fields).await;
        classify::token(&sent.map_err(NoResponse::transient)?)
    }

    /// Fetches the token from the other source, in case the first one changes.
    pub async fn fetch_token_otherwise(&self, session: &Secret, serial: &Serial) -> Result<Secret, Failure> {
        let encoded: String = form_urlencoded::byte_serialize(serial.as_str().as_bytes()).collect();
        let url = format!("{}/entrez-auth-token?serial_num={encoded}", self.addresses.enlighten);
        let cookie = Secret::new([SESSION_COOKIE, "=", session.expose()].concat());
        let request = self.http.get(url).header(ACCEPT, "application/json");
        let fields = [Field::Shortened("serial_num", serial.as_str())];
        let sent = send(with_cookies(request, &cookie), &fields).await;
        classify::token(&sent.map_err(NoResponse::transient)?)
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
