//! Tests requests through Home Assistant's ingress: they come from one address, under a name of somebody else's choice.

use super::client::{get, ready, request};
use super::served_with;

#[tokio::test(start_paused = true)]
async fn the_proxy_of_home_assistant_may_use_any_name_and_needs_no_token() {
    let house = served_with("open_to = []\ningress = \"127.0.0.1\"\n");
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            for host in ["Host: home.duckdns.org", "Host: homeassistant.local:8123"] {
                for path in ["/", "/api/v1/gateways"] {
                    let reply = request(at, &format!("GET {path}"), &[host]).await;
                    assert_eq!(reply.status, 200, "{host} {path}: {reply:?}");
                }
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_it_names_of_others_and_programs_without_a_token_are_refused() {
    let house = served_with("open_to = []\ningress = \"172.30.32.2\"\n");
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            assert_eq!(request(at, "GET /api/v1/gateways", &["Host: home.duckdns.org"]).await.status, 421);
            assert_eq!(get(at, "/api/v1/gateways").await.status, 401);
        })
        .await;
}
