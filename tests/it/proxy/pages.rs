//! Every page through the proxy is what the gateway returned, for every firmware.

use std::fs;
use std::path::{Path, PathBuf};

use enphased::rules::proxy::pages;
use enphased::simulator::{GatewayOptions, Pages, SimulationOptions};

use super::client::{Client, get, request};
use super::{of, polled, proxied, proxied_with};
use crate::recordings::{folders, name, recordings};
use crate::support::house::House;

/// A house with the gateway that was recorded in `folder`.
fn recorded(folder: &Path) -> House {
    let gateway = GatewayOptions::recorded(Pages::from_directory(folder).unwrap());
    of(SimulationOptions { gateways: vec![gateway], ..SimulationOptions::default() }, "interval = \"5s\"\n")
}

/// Returns the file of a request target.
fn file(folder: &Path, target: &str) -> PathBuf {
    folder.join(target.trim_start_matches('/').replace(['/', '?', '=', '&'], "_"))
}

/// Compares every page that is in `folder`, and returns their number.
async fn compare(folder: &Path) -> usize {
    let house = recorded(folder);
    house
        .visited(async |addresses| {
            let mut clients = Vec::new();
            for at in addresses {
                clients.push(Client::open(at).await);
            }
            let mut compared = 0;
            let targets = pages::all().map(|page| page.path).chain(["/info", "/info.xml"]);
            for target in targets {
                let file = file(folder, target.trim_end_matches(".xml"));
                let Ok(body) = fs::read(&file) else { continue };
                let log = fs::read(format!("{}_log.json", file.display())).ok();
                let log: serde_json::Value =
                    log.and_then(|log| serde_json::from_slice(&log).ok()).unwrap_or_default();
                for client in &mut clients {
                    let reply = client.send(&format!("GET {target}"), &[]).await;
                    let place = format!("{} {target}", folder.display());
                    assert_eq!(u64::from(reply.status), log["code"].as_u64().unwrap_or(200), "{place}");
                    assert!(
                        reply.body == body,
                        "{place}: {} instead of {} bytes",
                        reply.body.len(),
                        body.len()
                    );
                    if let Some(content) = log["headers"]["Content-Type"].as_str() {
                        assert_eq!(reply.header("content-type"), Some(content), "{place}");
                    }
                    compared += 1;
                }
            }
            compared
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn each_page_is_what_the_gateway_returned() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut compared = 0;
    for folder in folders(&fixtures) {
        compared += compare(&folder).await;
    }
    assert!(compared > 100, "{compared}");
}

#[tokio::test(start_paused = true)]
async fn each_recorded_page_is_what_the_gateway_returned() {
    let Some(recordings) = recordings() else { return };
    for folder in folders(&recordings.join("sets")) {
        let compared = compare(&folder).await;
        assert!(compared > 4, "{}: {compared}", name(&folder));
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_wants_a_password_is_read_without_one() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/5.0.62_metered");
    let house = recorded(&fixture);
    house
        .visited(async |addresses| {
            let inverters = get(addresses[0], "/api/v1/production/inverters").await;
            assert_eq!(inverters.status, 200);
            assert_eq!(inverters.body, fs::read(fixture.join("api_v1_production_inverters")).unwrap());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_page_is_that_of_the_page() {
    let house = proxied();
    house
        .visited(async |addresses| {
            let page = get(addresses[0], "/ivp/meters").await;
            let head = request(addresses[0], "HEAD /ivp/meters", &[]).await;
            assert_eq!((head.status, head.body.len()), (200, 0));
            for name in ["content-length", "content-type"] {
                assert_eq!(head.header(name), page.header(name), "{name}");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn info_shows_the_configured_serial_number_and_is_otherwise_the_gateways() {
    let (plain, other) = (proxied(), proxied_with("proxy_serial = \"999900000001\"\n"));
    let serial = plain.serial();
    let mut pages = Vec::new();
    for house in [&plain, &other] {
        let page = house
            .visited(async |addresses| {
                polled(house, addresses[0]).await;
                let info = get(addresses[1], "/info").await;
                let xml = get(addresses[0], "/info.xml").await;
                assert_eq!((info.status, info.header("content-type")), (200, Some("text/xml")));
                assert_eq!(info.body, xml.body);
                info.text()
            })
            .await;
        pages.push(page);
    }
    assert!(pages[0].contains(&format!("<sn>{serial}</sn>")), "{}", pages[0]);
    let time = |page: &str| page.split_once("<time>").unwrap().1.split_once('<').unwrap().0.to_owned();
    let replaced = pages[0].replace(&format!("<sn>{serial}</sn>"), "<sn>999900000001</sn>");
    assert_eq!(replaced.replace(&time(&pages[0]), ""), pages[1].replace(&time(&pages[1]), ""));
}
