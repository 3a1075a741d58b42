//! What is refused without asking the gateway.

use std::collections::BTreeSet;

use enphased::rules::proxy::pages;

use super::client::{Client, get, request};
use super::{READINGS, polled, proxied};

/// Spellings that a lenient reader would take for a page, paths that stop a gateway, and those that change something.
const UNKNOWN: &[&str] = &[
    "/",
    "/ivp/meters/704643328",
    "/ivp/meters/1",
    "/ivp/meters/",
    "/ivp/meters/readings/",
    "/ivp/meters/readings?x=1",
    "/ivp/Meters",
    "/ivp//meters",
    "//ivp/meters",
    "/./ivp/meters",
    "/ivp/x/../meters",
    "/ivp/meters%2Freadings",
    "/%69vp/meters",
    "/ivp/meters%00",
    "/ivp/meters;a=b",
    "/ivp/meters\\readings",
    "/production.json?details=0",
    "/production.json?details=1&deleted=1",
    "/production.json?DETAILS=1",
    "/inventory.json?deleted=1&",
    "/info?a",
    "/info/",
    "/INFO",
    "/auth/check_jwt/",
    "/auth/check_jwt?x",
    "/admin",
    "/admin/lib/network",
    "/installer/upgrade",
    "/ivp/livedata/stream",
    "/metrics",
    "/livez",
    "/api/v1/gateways",
    "http://localhost/ivp/meters",
    "http://192.168.1.20/ivp/meters",
    "https://localhost/info",
];

#[tokio::test(start_paused = true)]
async fn nothing_but_the_listed_pages_reaches_the_gateway() {
    let house = proxied();
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let mut client = Client::open(addresses[1]).await;
            for target in UNKNOWN {
                for method in ["GET", "POST", "PUT"] {
                    let reply = client.send(&format!("{method} {target}"), &["Content-Length: 0"]).await;
                    assert_eq!(reply.status, 404, "{method} {target}");
                }
            }
            for page in pages::all() {
                for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
                    let reply = client.send(&format!("{method} {}", page.path), &["Content-Length: 0"]).await;
                    assert_eq!(reply.status, 405, "{method} {}", page.path);
                    assert_eq!(reply.header("allow"), Some("GET, HEAD"));
                }
            }
            let checked = client.send("DELETE /auth/check_jwt", &[]).await;
            assert_eq!((checked.status, checked.header("allow")), (405, Some("GET, HEAD, POST")));
        })
        .await;
    let listed: BTreeSet<&str> =
        pages::all().map(|page| page.path).chain(["/info", "/auth/check_jwt"]).collect();
    for path in house.simulation.gateways[0].counts().paths.keys() {
        assert!(listed.contains(path.as_str()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fragment_is_no_part_of_a_page() {
    let house = proxied();
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            for target in
                ["/ivp/meters#x", "/ivp/meters/readings#", "/info#/../x", "/production.json#?details=1"]
            {
                assert_eq!(get(addresses[0], target).await.status, 404, "{target}");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_page_elsewhere_cannot_read_through_a_browser() {
    let house = proxied();
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let first = format!("GET {READINGS}");
            let mut client = Client::open(addresses[0]).await;
            let reply = client.send(&first, &["Origin: https://evil.example.com"]).await;
            assert_eq!(reply.header("access-control-allow-origin"), None);
            assert!(reply.header("content-security-policy").unwrap().contains("sandbox"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_asks_too_often_has_to_wait() {
    let house = crate::support::house::House::new(enphased::simulator::SimulationOptions::default())
        .with_gateway(super::PROXY)
        .with("[server]\nrequests_per_minute = 30\n");
    house
        .visited(async |addresses| {
            let mut statuses = Vec::new();
            for _ in 0..60 {
                statuses.push(get(addresses[0], READINGS).await);
            }
            let refused = statuses.iter().find(|reply| reply.status == 429).unwrap();
            assert!(refused.header("retry-after").is_some());
            let other = request(addresses[0], &format!("GET {READINGS}"), &["User-Agent: other"]).await;
            assert_eq!(other.status, 200);
        })
        .await;
}
