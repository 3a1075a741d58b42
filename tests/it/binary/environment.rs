//! Tests a configuration by environment variables, as containers have it.

use std::net::TcpListener;

use tokio::process::Command;
use tokio::time::timeout;

use super::site::{HANG, Site, text};

/// Returns a command whose file has only the addresses of the simulated cloud. The environment does the rest.
fn command(site: &Site, arguments: &[&str]) -> Command {
    let file = format!("state_dir = {:?}\n{}", site.path("state"), site.simulation.cloud_toml());
    std::fs::write(site.path("cloud.toml"), file).unwrap();
    let mut command = Command::new(crate::program());
    command.env_clear().env("HOME", site.path("home")).env("ENPHASED_CONFIG", site.path("cloud.toml"));
    command.env("ENPHASED_GATEWAY", site.gateway().address());
    command.env("ENPHASED_PASSWORD_FILE", site.path("password")).args(arguments).kill_on_drop(true);
    command
}

#[tokio::test]
async fn variables_name_the_gateway_the_listener_and_the_file_with_the_password() {
    let site = Site::new();
    let output =
        timeout(HANG, command(&site, &["read", "--format", "json"]).output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(&format!("\"serial\":\"{}\"", site.gateway().serial())));
    assert_eq!(site.logins(), (1, 1, 1), "the password came from the file");
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut served = command(&site, &["check"]);
    let output = timeout(HANG, served.env("ENPHASED_LISTEN", &listen).output()).await.unwrap().unwrap();
    let words = text(&output.stdout);
    assert!(words.contains(&format!("nothing listens at http://{listen} now")), "{words}");
}

#[tokio::test]
async fn a_variable_with_a_mistake_is_reported_like_a_key() {
    let site = Site::new();
    let mut wrong = command(&site, &["config", "validate"]);
    wrong.env("ENPHASED_HOMEASSISTANT", "maybe").env("ENPHASED_MQTT_URL", "broker");
    let output = timeout(HANG, wrong.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let words = text(&output.stderr);
    assert!(words.contains("- ENPHASED_HOMEASSISTANT: write true or false"), "{words}");
    assert!(words.contains("- mqtt url: this is not the address of a broker"), "{words}");
    let mut misspelt = command(&site, &["config", "validate"]);
    let output = timeout(HANG, misspelt.env("ENPHASED_PASWORD", "x").output()).await.unwrap().unwrap();
    assert!(text(&output.stdout).contains("did you mean ENPHASED_PASSWORD?"), "{}", text(&output.stdout));
}
