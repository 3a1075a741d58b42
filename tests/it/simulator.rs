//! Tests the simulator with a client that shares no code with the program.

use std::sync::Arc;
use std::time::Duration;

use enphased::base::clock::Clock;
use enphased::simulator::{
    Account, Answer, Cloud, CloudOptions, Condition, ENTREZ_AUTH_TOKEN, Fault, Gateway, GatewayOptions,
    LOGIN, Pages, Role, SecondFactor, Simulation, SimulationOptions, TOKENS, Transport, VALIDATE_OTP, World,
    WorldOptions, mint_token, responses,
};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::Value;

use crate::recordings::recordings;

const SERIAL: &str = "122300000001";
const DAY: Duration = Duration::from_secs(86_400);
const METERS: &str = "/ivp/meters/readings";
const PRODUCTION: &str = "/api/v1/production";

fn clock() -> Clock {
    Clock::simulated("2026-06-21T00:00:00Z".parse().unwrap())
}

/// Accepts every certificate, and stores the last one.
#[derive(Debug, Default)]
struct AnyCertificate(std::sync::Mutex<Vec<u8>>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("a gateway speaks TLS 1.2".into()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Returns a client with a timeout of ten seconds, and the last certificate that it received.
fn client() -> (Client, Arc<AnyCertificate>) {
    let seen = Arc::new(AnyCertificate::default());
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::<AnyCertificate>::clone(&seen))
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent("test")
        .timeout(Duration::from_secs(10));
    (client.build().unwrap(), seen)
}

/// Creates a metered gateway, a client and a token.
struct Site {
    clock: Clock,
    gateway: Gateway,
    client: Client,
    seen: Arc<AnyCertificate>,
    token: String,
}

impl Site {
    fn new() -> Self {
        Self::with(&GatewayOptions::new(Pages::metered()))
    }

    fn with(options: &GatewayOptions) -> Self {
        let clock = clock();
        let world = World::new(&clock, WorldOptions::default());
        let gateway = Gateway::start(&clock, &world, options).unwrap();
        let (client, seen) = client();
        let token = mint_token(&gateway.serial(), Role::Owner, clock.now(), 365 * DAY);
        Self { clock, gateway, client, seen, token }
    }

    fn open(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.gateway.address()))
    }

    fn request(&self, path: &str) -> RequestBuilder {
        self.open(path).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Result<Response, reqwest::Error> {
        self.request(path).send().await
    }

    async fn status(&self, path: &str) -> u16 {
        self.get(path).await.unwrap().status().as_u16()
    }

    async fn info(&self) -> String {
        self.open("/info").send().await.unwrap().text().await.unwrap()
    }
}

async fn json(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_gateway_wants_a_token_and_hands_out_a_session() {
    let site = Site::new();
    assert!(site.info().await.contains(&format!("<time>{}</time>", site.clock.now().as_second())));
    assert_eq!(site.open(METERS).send().await.unwrap().status(), 401);
    let valid = site.get("/auth/check_jwt").await.unwrap();
    assert_eq!(valid.headers()["content-type"], "application/octet-stream");
    let cookie = valid.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert!(valid.text().await.unwrap().contains("Valid token."));
    let by_cookie = || async { site.open(METERS).header("cookie", &cookie).send().await.unwrap().status() };
    assert_eq!(by_cookie().await, 200);
    tokio::time::advance(Duration::from_secs(601)).await;
    assert_eq!(by_cookie().await, 401);
    assert_eq!(site.status("/ivp/nothing/here").await, 404);
    let counts = site.gateway.counts();
    assert_eq!((counts.check_jwt, counts.sessions, counts.without_credentials), (1, 1, 1));
    assert_eq!((counts.connections, counts.handshakes, counts.requests), (1, 1, 6));
    assert_eq!(site.gateway.requests()[1].status, Some(401));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_a_page_with_401() {
    let site = Site::new();
    for token in ["nonsense", &mint_token("999999999999", Role::Owner, site.clock.now(), DAY)] {
        let refused = site.open("/auth/check_jwt").bearer_auth(token).send().await.unwrap();
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()["content-type"], "text/html");
    }
    site.gateway.revoke_tokens();
    assert_eq!(site.status("/auth/check_jwt").await, 401);
}

#[tokio::test(start_paused = true)]
async fn a_day_of_polls_passes_without_a_timeout() {
    let site = Site::with(&GatewayOptions {
        delay: Duration::from_millis(900),
        ..GatewayOptions::new(Pages::metered())
    });
    let mut every = tokio::time::interval(Duration::from_secs(30));
    let mut last = 0.0;
    for _ in 0..2880 {
        every.tick().await;
        let page = json(site.get(PRODUCTION).await.unwrap()).await;
        let energy = page["wattHoursLifetime"].as_f64().unwrap();
        assert!(energy >= last);
        last = energy;
    }
    assert_eq!(site.gateway.counts().paths[PRODUCTION], 2880);
    assert_eq!(site.gateway.counts().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn answers_go_wrong_in_every_way() {
    let site = Site::new();
    let text = |response: Response| async { response.text().await };
    for (fault, timeout) in [(Fault::Hang, true), (Fault::Reset, false)] {
        site.gateway.fail(fault);
        assert_eq!(site.get(METERS).await.unwrap_err().is_timeout(), timeout);
        site.gateway.heal();
    }
    for fault in [Fault::Trickle, Fault::Delay(Duration::from_secs(11))] {
        site.gateway.fail(fault.at(METERS));
        let outcome = match site.get(METERS).await {
            Ok(response) => text(response).await.map(drop),
            Err(err) => Err(err),
        };
        assert!(outcome.unwrap_err().is_timeout());
        site.gateway.heal();
    }
    for (fault, status) in [
        (Fault::Busy, 503),
        (Fault::Redirect, 301),
        (Fault::Html, 200),
        (Fault::Truncated, 200),
        (Fault::Respond(Answer::empty(500)), 500),
    ] {
        site.gateway.fail(fault.at(METERS).once());
        let response = site.get(METERS).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(serde_json::from_str::<Value>(&text(response).await.unwrap()).is_err());
        assert_eq!(site.status(METERS).await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_answer_is_streamed_to_whoever_reads_it() {
    let site = Site::new();
    site.gateway.fail(Fault::Huge.at(METERS));
    let mut response = site.get(METERS).await.unwrap();
    let mut read = 0;
    while read < 1_000_000 {
        read += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_gateway_goes_wrong_and_heals() {
    let site = Site::new();
    site.gateway.set_condition(Condition::OtherSerial("122300000009".into()));
    assert!(site.info().await.contains("<sn>122300000009</sn>"));
    assert_eq!(site.status("/auth/check_jwt").await, 401);
    site.gateway.heal();

    site.gateway.set_condition(Condition::TokensRefused);
    assert_eq!(site.status("/auth/check_jwt").await, 401);
    site.gateway.heal();

    site.gateway.set_condition(Condition::DataRefused);
    assert_eq!((site.status("/auth/check_jwt").await, site.status(METERS).await), (200, 401));
    site.gateway.heal();

    site.gateway.set_condition(Condition::ClockOff(SignedDuration::from_hours(400 * 24)));
    assert_eq!(site.status("/auth/check_jwt").await, 401);
    site.gateway.heal();

    site.gateway.set_condition(Condition::Zeros);
    assert_eq!(json(site.get(PRODUCTION).await.unwrap()).await["wattHoursLifetime"], 0);
    site.gateway.heal();

    site.gateway.set_condition(Condition::Firmware("D8.3.5433".into()));
    assert!(site.info().await.contains("<software>D8.3.5433</software>"));
    site.gateway.heal();
    assert_eq!(site.status(METERS).await, 200);
    assert!(site.info().await.contains("<software>D8.3.5289</software>"));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_shows_another_key() {
    let site = Site::new();
    let shown = || async {
        // The first request may use an old connection.
        drop(site.get("/info").await);
        assert_eq!(site.status("/info").await, 200);
        site.seen.0.lock().unwrap().clone()
    };
    let first = shown().await;
    site.gateway.set_condition(Condition::ReplacedKey);
    assert_ne!(shown().await, first);
    site.gateway.heal();
    assert_eq!(shown().await, first);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_away_and_comes_back_at_the_same_port() {
    let site = Site::new();
    assert_eq!(site.status(METERS).await, 200);
    site.gateway.set_condition(Condition::Refusing);
    drop(site.get(METERS).await);
    assert!(site.get(METERS).await.unwrap_err().is_connect());
    site.gateway.heal();
    assert_eq!(site.status(METERS).await, 200);

    site.gateway.set_condition(Condition::Silent);
    drop(site.get(METERS).await);
    assert!(site.get(METERS).await.unwrap_err().is_timeout());
    site.gateway.heal();
    drop(site.get(METERS).await);
    assert_eq!(site.status(METERS).await, 200);

    site.gateway.restart(Duration::from_secs(90));
    drop(site.get(METERS).await);
    assert!(site.get(METERS).await.is_err());
    tokio::time::sleep(Duration::from_secs(91)).await;
    assert_eq!(site.status(METERS).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_restarts_at_night() {
    let site = Site::with(&GatewayOptions { nightly_restart: true, ..GatewayOptions::new(Pages::metered()) });
    tokio::time::sleep(Duration::from_secs(23 * 3600 + 70)).await;
    assert!(site.get(METERS).await.unwrap_err().is_connect());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(site.status(METERS).await, 200);
}

#[tokio::test]
async fn everything_runs_on_the_real_clock_too() {
    let clock = Clock::system();
    let simulation = Simulation::start(&clock, SimulationOptions::demo()).unwrap();
    for gateway in &simulation.gateways {
        let token = mint_token(&gateway.serial(), Role::Owner, clock.now(), DAY);
        let request = client().0.get(format!("{}{METERS}", gateway.address())).bearer_auth(token);
        assert!(json(request.send().await.unwrap()).await[0]["activePower"].is_number());
    }
}

#[tokio::test(start_paused = true)]
async fn two_gateways_of_one_account_share_a_cloud() {
    let gateway = || GatewayOptions::new(Pages::non_metered());
    let options = SimulationOptions { gateways: vec![gateway(), gateway()], ..SimulationOptions::default() };
    let simulation = Simulation::start(&clock(), options).unwrap();
    let serials: Vec<String> = simulation.gateways.iter().map(Gateway::serial).collect();
    assert_ne!(serials[0], serials[1]);
    let login = Login::at(&simulation.cloud);
    let session = login.session(Simulation::EMAIL, Simulation::PASSWORD).await;
    for (serial, gateway) in serials.iter().zip(&simulation.gateways) {
        let token = login.token(&session, serial, Simulation::EMAIL).await.text().await.unwrap();
        let check = login.client.get(format!("{}/auth/check_jwt", gateway.address())).bearer_auth(token);
        assert_eq!(check.send().await.unwrap().status(), 200);
    }
    let counts = simulation.cloud.counts();
    assert_eq!((counts.login_attempts, counts.logins, counts.token_fetches, counts.tokens), (1, 1, 2, 2));
}

/// A client of the cloud.
struct Login {
    client: Client,
    enlighten: String,
    entrez: String,
}

impl Login {
    fn at(cloud: &Cloud) -> Self {
        Self { client: client().0, enlighten: cloud.enlighten_url(), entrez: cloud.entrez_url() }
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        self.client
            .post(format!("{}{path}", self.enlighten))
            .header("accept", "application/json")
            .form(fields)
    }

    async fn login(&self, email: &str, password: &str) -> Response {
        self.form(LOGIN, &[("user[email]", email), ("user[password]", password)]).send().await.unwrap()
    }

    async fn session(&self, email: &str, password: &str) -> String {
        json(self.login(email, password).await).await["session_id"].as_str().unwrap().to_owned()
    }

    async fn token(&self, session: &str, serial: &str, email: &str) -> Response {
        let body = serde_json::json!({"session_id": session, "serial_num": serial, "username": email});
        self.client.post(format!("{}{TOKENS}", self.entrez)).body(body.to_string()).send().await.unwrap()
    }
}

const EMAIL: &str = "owner+roof@example.com";
const PASSWORD: &str = "p&ss w=rd%+";

fn account() -> Account {
    Account {
        email: EMAIL.into(),
        password: PASSWORD.into(),
        serials: vec![SERIAL.into()],
        second_factor: None,
    }
}

fn cloud(account: Account) -> (Cloud, Login) {
    let options = CloudOptions { accounts: vec![account], session_limit: 2, ..CloudOptions::default() };
    let cloud = Cloud::start(&clock(), options).unwrap();
    let login = Login::at(&cloud);
    (cloud, login)
}

#[tokio::test(start_paused = true)]
async fn a_login_gives_a_session_and_the_session_a_token_by_two_ways() {
    let (cloud, login) = cloud(account());
    let response = login.login(EMAIL, PASSWORD).await;
    let cookies: Vec<String> =
        response.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap().to_owned()).collect();
    let body = json(response).await;
    let session = body["session_id"].as_str().unwrap();
    assert_eq!((body["message"].as_str(), session.len()), (Some("success"), 32));
    assert!(cookies[0].starts_with(&format!("_enlighten_4_session={session}")));

    let entrez = login.token(session, SERIAL, EMAIL).await;
    assert!(entrez.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(entrez.text().await.unwrap().split('.').count(), 3);
    let url = format!("{}{ENTREZ_AUTH_TOKEN}?serial_num={SERIAL}", login.enlighten);
    let by_cookie = login.client.get(&url).header("cookie", format!("_enlighten_4_session={session}"));
    let by_cookie = json(by_cookie.send().await.unwrap()).await;
    let lifetime = by_cookie["expires_at"].as_i64().unwrap() - by_cookie["generation_time"].as_i64().unwrap();
    assert_eq!(lifetime, 31_536_000);
    let without = login.client.get(&url).send().await.unwrap();
    assert_eq!(json(without).await["message"], "You need to sign in first");
    let counts = cloud.counts();
    assert_eq!((counts.token_fetches, counts.other_token_fetches, counts.tokens), (1, 2, 2));
    assert_eq!(cloud.login_times(), vec!["2026-06-21T00:00:00Z".parse::<Timestamp>().unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn the_second_step_says_what_it_lacks() {
    let (cloud, login) = cloud(account());
    let session = login.session(EMAIL, PASSWORD).await;
    assert_eq!(login.token(&session, "122300000002", EMAIL).await.status(), 403);
    assert_eq!(login.token("nobody", SERIAL, EMAIL).await.status(), 401);
    assert_eq!(login.token(&session, SERIAL, "other@example.com").await.status(), 401);
    let url = format!("{}{TOKENS}", login.entrez);
    let without_serial = login.client.post(url).body(format!(r#"{{"session_id":"{session}"}}"#));
    assert_eq!(without_serial.send().await.unwrap().status(), 400);
    let other_host = login.client.post(format!("{}{TOKENS}", login.enlighten)).send().await.unwrap();
    assert_eq!(other_host.status(), 404);
    assert_eq!((cloud.counts().tokens, cloud.counts().token_fetches), (0, 5));
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_and_missing_headers_are_refused() {
    let (cloud, login) = cloud(account());
    let wrong = login.login(EMAIL, "no").await;
    assert_eq!(wrong.status(), 401);
    assert_eq!(json(wrong).await["message"], "Invalid");
    // A client that does not encode the plus sign logs in as another user.
    let body = format!("user[email]={EMAIL}&user[password]=p%26ss+w%3Drd%25%2B");
    let unencoded = login.form(LOGIN, &[]).body(body).send().await.unwrap();
    assert_eq!(unencoded.status(), 401);
    let bare = Client::builder().no_proxy().tls_backend_preconfigured(no_tls()).build().unwrap();
    let bare = bare.post(format!("{}{LOGIN}", login.enlighten)).body("").send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!((cloud.counts().login_attempts, cloud.counts().logins), (3, 0));
}

fn no_tls() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[tokio::test(start_paused = true)]
async fn sessions_run_out_and_come_back_after_a_day() {
    let (cloud, login) = cloud(account());
    let session = login.session(EMAIL, PASSWORD).await;
    login.session(EMAIL, PASSWORD).await;
    let third = login.login(EMAIL, PASSWORD).await;
    assert_eq!(json(third).await["message"], "Too many active sessions..");
    assert_eq!(cloud.counts().logins, 2);
    tokio::time::advance(DAY).await;
    assert_eq!(login.token(&session, SERIAL, EMAIL).await.status(), 401);
    login.session(EMAIL, PASSWORD).await;
    assert_eq!(cloud.counts().login_attempts, 4);
}

#[tokio::test(start_paused = true)]
async fn a_second_factor_stands_in_the_way() {
    let second_factor = Some(SecondFactor::Code("123456".into()));
    let (guarded, login) = cloud(Account { second_factor, ..account() });
    let half = login.login(EMAIL, PASSWORD).await;
    assert!(half.headers()["set-cookie"].to_str().unwrap().starts_with("login_otp_nonce="));
    let body = json(half).await;
    assert_eq!((&body["success"], body.get("session_id")), (&Value::Bool(true), None));
    // The code in base64.
    let otp = |code: &'static str| login.form(VALIDATE_OTP, &[("email", OTP_EMAIL), ("otp", code)]);
    let with_cookie = |code| otp(code).header("cookie", "login_otp_nonce=5d3c1a").send();
    assert_eq!(json(with_cookie("MDAwMDAw").await.unwrap()).await["isValid"], false);
    let without_cookie = otp("MTIzNDU2").send().await.unwrap();
    assert_eq!(json(without_cookie).await["isValid"], false, "it belongs to no login");
    assert!(json(with_cookie("MTIzNDU2").await.unwrap()).await["session_id"].is_string());
    assert_eq!((guarded.counts().logins, guarded.counts().codes_tried), (1, 3));

    let (_demanding, login) = cloud(Account { second_factor: Some(SecondFactor::Demanded), ..account() });
    assert_eq!(json(login.login(EMAIL, PASSWORD).await).await["requires_mfa"], true);
}

/// `owner+roof@example.com` in base64.
const OTP_EMAIL: &str = "b3duZXIrcm9vZkBleGFtcGxlLmNvbQ==";

#[tokio::test(start_paused = true)]
async fn the_cloud_has_every_kind_of_bad_day() {
    let (cloud, login) = cloud(account());
    let days = [
        (responses::too_many_sessions(403), 403, "Too many active sessions.."),
        (responses::too_many_sessions_page(200), 200, "Too many active sessions.."),
        (responses::blocked(), 200, r#""isBlocked":true"#),
        (responses::login_wall(), 200, "<!DOCTYPE html>"),
        (responses::too_many_requests(Some(90_000)), 429, "later"),
        (responses::outage(503), 503, "<html>"),
        (responses::empty(), 200, ""),
        (responses::requires_mfa(), 200, "requires_mfa"),
    ];
    for (fault, status, words) in days {
        cloud.fail(fault.at(LOGIN).once());
        let response = login.login(EMAIL, PASSWORD).await;
        assert_eq!(response.status(), status);
        assert!(response.text().await.unwrap().contains(words), "{words}");
    }
    cloud.fail(responses::error_text().at(TOKENS));
    let session = login.session(EMAIL, PASSWORD).await;
    assert!(login.token(&session, SERIAL, EMAIL).await.text().await.unwrap().starts_with("Error"));
    cloud.heal();
    cloud.unplug();
    drop(login.form(LOGIN, &[]).send().await);
    assert!(login.form(LOGIN, &[]).send().await.unwrap_err().is_connect());
    cloud.heal();
    assert_eq!(login.login(EMAIL, PASSWORD).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn every_recording_is_served_as_it_was_recorded() {
    let Some(folder) = recordings() else { return };
    for set in std::fs::read_dir(folder.join("sets")).unwrap() {
        let set = set.unwrap().path();
        let site = Site::with(&GatewayOptions::recorded(Pages::from_directory(&set).unwrap()));
        assert_eq!(site.info().await.into_bytes(), std::fs::read(set.join("info")).unwrap());
        let Ok(recorded) = std::fs::read(set.join("api_v1_production")) else { continue };
        let log = std::fs::read_to_string(set.join("api_v1_production_log.json")).unwrap_or("{}".into());
        let log: Value = serde_json::from_str(&log).unwrap();
        let response = site.get(PRODUCTION).await.unwrap();
        assert_eq!(u64::from(response.status().as_u16()), log["code"].as_u64().unwrap_or(200));
        assert_eq!(response.bytes().await.unwrap(), recorded, "{}", set.display());
    }
}

#[tokio::test(start_paused = true)]
async fn the_cloud_can_stand_behind_tls_and_the_gateway_without() {
    let options = CloudOptions {
        transport: Transport::Tls(enphased::simulator::Key::First),
        ..CloudOptions::default()
    };
    let cloud = Cloud::start(&clock(), options).unwrap();
    assert!(cloud.enlighten_url().starts_with("https://127.0.0.1:"));
    assert_eq!(Login::at(&cloud).login(EMAIL, PASSWORD).await.status(), 401);
    let plain = GatewayOptions { transport: Transport::Plain, ..GatewayOptions::new(Pages::battery()) };
    let site = Site::with(&plain);
    assert!(site.gateway.address().starts_with("http://"));
    assert_eq!(site.status("/ivp/ensemble/power").await, 200);
}
