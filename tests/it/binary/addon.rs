//! Tests the program as the add-on of Home Assistant OS, with a simulated Supervisor.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use super::site::{HANG, Site, text};

const TOKEN: &str = "the token of the add-on";

/// Returns a command of the add-on. There is no account in the options, so it cannot log in.
fn command(site: &Site, supervisor: &str, arguments: &[&str]) -> Command {
    let options = json!({
        "gateways": [{"address": site.gateway().address().clone()}],
        "username": "", "password": "", "interval": 30, "discovery": true, "details": false, "open_to": [],
    });
    std::fs::write(site.path("options.json"), options.to_string()).unwrap();
    let mut command = Command::new(crate::program());
    command.env_clear().env("HOME", site.path("home")).env("STATE_DIRECTORY", site.path("state"));
    command.env("ENPHASED_OPTIONS", site.path("options.json")).env("SUPERVISOR_TOKEN", TOKEN);
    command.env("ENPHASED_SUPERVISOR", supervisor).args(arguments).kill_on_drop(true);
    command
}

/// Answers one request as the Supervisor does, and returns the request.
async fn supervise(listener: &TcpListener, status: &str, body: String) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = [0; 2048];
    let length = stream.read(&mut head).await.unwrap();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
    text(&head[..length])
}

#[tokio::test]
async fn the_broker_comes_from_the_supervisor_and_the_gateway_from_the_options() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    let supervisor = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (host, port) = ("127.0.0.1", broker.local_addr().unwrap().port());
    let service = json!({"result": "ok", "data": {"addon": "core_mosquitto", "host": host, "port": port, "ssl": false,
        "protocol": "3.1.1", "username": "addons", "password": "broker secret"}});
    let address = supervisor.local_addr().unwrap().to_string();
    let daemon = command(&site, &address, &["run", "--once"]).spawn().unwrap();
    let asked = timeout(HANG, supervise(&supervisor, "200 OK", service.to_string())).await.unwrap();
    assert!(asked.starts_with("GET /services/mqtt "), "{asked}");
    assert!(asked.contains(&format!("Bearer {TOKEN}\r\n")), "{asked}");
    let (mut stream, _) = timeout(HANG, broker.accept()).await.expect("the broker is not connected to").unwrap();
    let mut connect = vec![0; 512];
    let length = timeout(HANG, stream.read(&mut connect)).await.unwrap().unwrap();
    let connect = text(&connect[..length]);
    assert!(connect.contains("MQTT") && connect.contains("addons") && connect.contains("broker secret"), "{connect:?}");
    drop(daemon);
    assert_eq!(site.logins(), (1, 1, 1), "the token is that of the state directory");
}

#[tokio::test]
async fn without_a_broker_or_a_supervisor_the_readings_are_in_the_log() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    let supervisor = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = supervisor.local_addr().unwrap().to_string();
    let mut validate = command(&site, &address, &["config", "validate"]);
    let answer = supervise(&supervisor, "400 Bad Request", "{\"result\":\"error\"}".to_owned());
    let (output, _) = tokio::join!(validate.output(), answer);
    let words = text(&output.unwrap().stdout);
    assert!(words.contains("note: there is no broker") && words.contains("Mosquitto broker"), "{words}");
    drop(supervisor);
    let output = command(&site, &address, &["config", "validate"]).output().await.unwrap();
    let words = text(&output.stdout);
    assert!(words.contains("the Supervisor of Home Assistant does not answer"), "{words}");
    let output = command(&site, &address, &["read", "--format", "json"]).output().await.unwrap();
    assert!(text(&output.stdout).contains("\"production\""), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains(TOKEN));
}
