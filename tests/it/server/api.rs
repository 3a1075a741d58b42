//! The API: every response is as described, and the same as on MQTT.

use serde_json::Value;

use super::client::{get, ready, request};
use super::{served, served_with};
use enphased::simulator::responses;

/// Compares `value` with a schema of the description. Only the words that the description uses are known.
pub(super) fn compare(value: &Value, schema: &Value, all: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = all.pointer(name.strip_prefix('#').unwrap()).unwrap();
        return compare(value, target, all, place);
    }
    // `["string", "null"]`
    let kind = match &schema["type"] {
        Value::Array(_) if value.is_null() => return,
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    let is_kind = match kind.unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("{place}: unknown type {other}"),
    };
    assert!(is_kind, "{place}: {value} is not {}", schema["type"]);
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{place}: {value} is not in {words:?}");
    }
    if schema["format"] == "date-time" {
        assert!(value.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{place}: {value}");
    }
    for entry in value.as_array().into_iter().flatten() {
        compare(entry, &schema["items"], all, &format!("{place}[]"));
    }
    let Some(fields) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(fields.contains_key(name.as_str().unwrap()), "{place}: {name} is missing");
    }
    for (name, value) in fields {
        match schema["properties"].get(name) {
            Some(schema) => compare(value, schema, all, &format!("{place}.{name}")),
            None => assert_ne!(schema["additionalProperties"], false, "{place}.{name} is not described"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_response_is_as_described() {
    let house = served();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let description = get(at, "/openapi.json").await.json();
            let gateways = get(at, "/api/v1/gateways").await.json();
            let serials: Vec<&str> =
                gateways.as_array().unwrap().iter().map(|one| one["serial"].as_str().unwrap()).collect();
            assert_eq!(serials.len(), house.simulation.gateways.len());
            let mut compared = 0;
            for (path, methods) in description["paths"].as_object().unwrap() {
                for (method, described) in methods.as_object().unwrap() {
                    if path == "/api/v1/stream" || path == "/api/v1/socket" {
                        continue;
                    }
                    for serial in serials.iter().chain(&["999"]) {
                        let first = format!("{} {}", method.to_uppercase(), path.replace("{serial}", serial));
                        let reply = request(at, &first, &[]).await;
                        let response = &described["responses"][reply.status.to_string()];
                        assert!(response.is_object(), "{first}: {} is not described", reply.status);
                        let Some(content) = response["content"].as_object() else { continue };
                        let (kind, schema) = content.iter().next().unwrap();
                        let found = reply.header("content-type").unwrap();
                        assert!(found.starts_with(kind.as_str()), "{first}: {found}");
                        if schema["schema"].is_object() {
                            compare(&reply.json(), &schema["schema"], &description, &first);
                            compared += 1;
                        }
                    }
                }
            }
            assert!(compared > 15, "{compared}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_the_client_has_is_not_sent_again() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let path = "/api/v1/gateways/122300000001/reading";
            let first = get(at, path).await;
            let tag = first.header("etag").unwrap().to_owned();
            assert_eq!(first.header("cache-control"), Some("no-cache"));
            let again = request(at, &format!("GET {path}"), &[&format!("If-None-Match: {tag}")]).await;
            assert_eq!((again.status, again.body.as_str()), (304, ""));
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            let later = request(at, &format!("GET {path}"), &[&format!("If-None-Match: {tag}")]).await;
            assert_eq!(later.status, 200);
        })
        .await;
}

/// `*` stands for whatever the client has.
#[tokio::test(start_paused = true)]
async fn each_response_that_may_be_known_to_the_client_is_not_sent_again() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let description = get(at, "/openapi.json").await.json();
            let mut compared = 0;
            for (path, methods) in description["paths"].as_object().unwrap() {
                if methods["get"]["responses"]["304"].is_null() {
                    continue;
                }
                let path = path.replace("{serial}", "122300000001");
                let first = get(at, &path).await;
                assert_eq!(first.status, 200, "{path}");
                assert!(first.header("etag").is_some_and(|tag| tag.starts_with('"')), "{path}");
                assert_eq!(first.header("cache-control"), Some("no-cache"), "{path}");
                let again = request(at, &format!("GET {path}"), &["If-None-Match: *"]).await;
                assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
                compared += 1;
            }
            assert!(compared >= 10, "{compared}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_a_problem_in_json() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            for (first, status) in [
                ("GET /nothing", 404),
                ("GET /api/v1/gateways/1/reading", 404),
                ("DELETE /api/v1/gateways", 405),
                ("GET /api/v1/stream?groups=nonsense", 400),
                ("GET /api/v1/socket?serial=", 400),
                ("GET /api/v1/socket", 426),
            ] {
                let reply = request(at, first, &[]).await;
                assert_eq!(reply.status, status, "{first}");
                assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{first}");
                assert!(reply.json()["detail"].as_str().unwrap().len() > 10, "{first}");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_of_somebody_else_is_refused_and_a_configured_one_is_not() {
    served_with("host_names = [\"sun.example.com\"]\n")
        .visited(async |addresses| {
            let at = addresses[0].address;
            for (host, status) in [
                ("evil.example.com", 421),
                ("evil.example.com:8480", 421),
                ("sun.example.com", 200),
                ("127.0.0.1:8480", 200),
                ("pi.local", 200),
            ] {
                let reply = request(at, "GET /livez", &[&format!("Host: {host}")]).await;
                assert_eq!(reply.status, status, "{host}");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn only_a_configured_origin_may_read_from_elsewhere() {
    served_with("allow_origins = [\"https://house.example.com\"]\n")
        .visited(async |addresses| {
            let at = addresses[0].address;
            let allowed = |origin: &'static str| async move {
                let reply = request(at, "GET /api/v1/gateways", &[&format!("Origin: {origin}")]).await;
                reply.header("access-control-allow-origin").map(str::to_owned)
            };
            assert_eq!(
                allowed("https://house.example.com").await.as_deref(),
                Some("https://house.example.com")
            );
            assert_eq!(allowed("https://evil.example.com").await, None);
            let lines = [
                "Origin: https://evil.example.com",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ];
            assert_eq!(request(at, "GET /api/v1/socket", &lines).await.status, 403);
        })
        .await;
}

/// The owner sees when and why the cloud was contacted, what it returned, and until when it is left alone.
#[tokio::test(start_paused = true)]
async fn the_status_explains_the_last_contact_with_the_cloud() {
    let house = served();
    house.simulation.cloud.fail(responses::too_many_sessions(200));
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            let cloud = |status: Value| status["cloud"].clone();
            let first = cloud(get(at, "/api/v1/status").await.json());
            assert_eq!(first["message"], "the Enphase cloud has not been contacted yet");
            tokio::time::sleep(std::time::Duration::from_secs(300)).await;
            let status = get(at, "/api/v1/status").await.json();
            let description = get(at, "/openapi.json").await.json();
            compare(&status, &description["components"]["schemas"]["Status"], &description, "status");
            assert_eq!(status["gateways"][0]["token"]["expires_at"], Value::Null);
            let held = cloud(status);
            assert_eq!(held["reason"], "there is no token yet");
            assert_eq!(held["held_off_because"], "the cloud reported too many active sessions");
            let time = |field: &str| held[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            let hours = time("held_off_until").duration_since(time("contacted_at")).as_secs_f64() / 3600.0;
            assert!((23.9..24.1).contains(&hours), "{hours} h");
            let words = held["message"].as_str().unwrap();
            assert!(words.contains("login, because there is no token yet"), "{words}");
        })
        .await;
    house.simulation.cloud.heal();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            let held = get(at, "/api/v1/status").await.json();
            assert!(held["cloud"]["held_off_until"].is_string(), "known before a gateway responds: {held}");
            tokio::time::sleep(std::time::Duration::from_secs(25 * 3600)).await;
            let status = get(at, "/api/v1/status").await.json();
            let cloud = &status["cloud"];
            assert_eq!((&cloud["outcome"], &cloud["logins_in_30_days"]), (&"succeeded".into(), &1.into()));
            assert!(cloud.get("held_off_until").is_none(), "{cloud}");
            let token = &status["gateways"][0]["token"];
            assert_eq!((&token["state"], &token["source"]), (&"valid".into(), &"login".into()), "{token}");
        })
        .await;
}

/// What is seen at one place is what is seen at the other.
#[tokio::test(start_paused = true)]
async fn metrics_show_what_the_document_shows_and_what_the_daemon_did() {
    let house = served();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            tokio::time::sleep(std::time::Duration::from_secs(300)).await;
            let reading = get(at, "/api/v1/gateways/122300000001/reading").await.json();
            let metrics = get(at, "/metrics").await.body;
            let sample = |start: &str| -> f64 {
                let line = metrics.lines().find(|line| line.starts_with(start));
                let line = line.unwrap_or_else(|| panic!("{start} is not in {metrics}"));
                line.rsplit_once(' ').unwrap().1.parse().unwrap()
            };
            let serial = "{serial=\"122300000001\"";
            let power = sample(&format!("enphased_production_power_watts{serial}"));
            assert_eq!(Some(power), reading["production"]["power_w"].as_f64());
            let energy = sample(&format!("enphased_production_energy_joules_total{serial}"));
            assert_eq!(Some(energy / 3600.0), reading["production"]["energy_wh"].as_f64());
            let polls = sample(&format!("enphased_polls_total{serial},outcome=\"ok\"}}"));
            assert!((10.0..=12.0).contains(&polls), "{polls}");
            let logins = sample("enphased_logins_total{outcome=\"ok\"}");
            assert_eq!(logins.to_string(), house.cloud().tokens.to_string());
            let path = "enphased_page_requests_total{path=\"/ivp/meters/readings\",outcome=\"ok\"}";
            assert!(sample(path) >= 10.0);
            for path in ["/info", "/auth/check_jwt"] {
                let received: u64 =
                    house.simulation.gateways.iter().map(|one| one.counts().paths[path]).sum();
                let counted =
                    sample(&format!("enphased_page_requests_total{{path=\"{path}\",outcome=\"ok\"}}"));
                assert_eq!(counted.to_string(), received.to_string(), "{path}");
            }
            house.simulation.gateways[0].set_condition(enphased::simulator::Condition::Refusing);
            tokio::time::sleep(std::time::Duration::from_secs(600)).await;
            let later = get(at, "/metrics").await.body;
            let failed = "enphased_page_requests_total{path=\"/info\",outcome=\"unreachable\"}";
            assert!(later.contains(failed), "{later}");
            assert!(
                !later.contains(&format!("enphased_production_power_watts{serial}")),
                "a stale value is left out"
            );
            let age =
                later.lines().find(|line| line.starts_with(&format!("enphased_reading_age_seconds{serial}")));
            let age: f64 = age.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
            assert!((590.0..640.0).contains(&age), "{age}");
        })
        .await;
}
