//! `/stream/meter`: live values of the meters.

use enphased::io::http::Listen;
use enphased::simulator::{Condition, GatewayOptions, Pages, SimulationOptions};
use serde_json::Value;
use tokio::time::{Duration, Instant, timeout};

use super::client::{Client, get};
use super::{PROXY, of, polled, proxied};
use crate::support::house::House;

const STREAM: &str = "/stream/meter";

async fn open(at: Listen) -> Client {
    let mut client = Client::open(at).await;
    client.begin(&format!("GET {STREAM}"), &[]).await;
    let (status, head) = client.head().await;
    assert_eq!(status, 200, "{head:?}");
    assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
    client
}

/// Returns the next event, which is one piece with one JSON document.
async fn next(client: &mut Client) -> Option<Value> {
    let chunk = client.chunk().await?;
    let data = chunk.strip_prefix("data: ").unwrap_or_else(|| panic!("{chunk}"));
    Some(serde_json::from_str(data.strip_suffix("\r\n\r\n").unwrap()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_poll_is_an_event_with_all_numbers_of_all_phases() {
    let house = proxied();
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let mut client = open(addresses[1]).await;
            let start = Instant::now();
            for n in 0..5_u64 {
                let event = next(&mut client).await.unwrap();
                assert!(start.elapsed() <= Duration::from_secs(30 * n + 1), "{:?}", start.elapsed());
                for group in ["production", "net-consumption", "total-consumption"] {
                    for phase in ["ph-a", "ph-b", "ph-c"] {
                        for name in ["p", "q", "s", "v", "i", "pf", "f"] {
                            assert!(event[group][phase][name].is_f64(), "{group} {phase} {name}: {event}");
                        }
                    }
                }
                let power = |group: &str| event[group]["ph-a"]["p"].as_f64().unwrap();
                let total = power("production") + power("net-consumption");
                assert!((power("total-consumption") - total).abs() < 0.01, "{event}");
            }
        })
        .await;
    assert!(house.polls() <= 6, "{}", house.polls());
}

#[tokio::test(start_paused = true)]
async fn a_stream_says_nothing_while_the_gateway_is_away_and_ends_with_the_daemon() {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    let mut client = house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let mut client = open(addresses[0]).await;
            next(&mut client).await.unwrap();
            gateway.set_condition(Condition::Refusing);
            assert!(timeout(Duration::from_secs(300), next(&mut client)).await.is_err());
            assert!([200, 503].contains(&get(addresses[0], "/info").await.status));
            gateway.heal();
            assert!(timeout(Duration::from_secs(120), next(&mut client)).await.unwrap().is_some());
            client
        })
        .await;
    assert!(timeout(Duration::from_secs(2), next(&mut client)).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_meters_has_no_stream() {
    let gateways = vec![GatewayOptions::new(Pages::non_metered())];
    let house = of(SimulationOptions { gateways, ..SimulationOptions::default() }, "");
    house.visited(async |addresses| assert_eq!(get(addresses[0], STREAM).await.status, 404)).await;
}

#[tokio::test(start_paused = true)]
async fn the_number_of_streams_is_limited_and_one_that_ends_makes_room() {
    let house =
        House::new(SimulationOptions::default()).with_gateway(PROXY).with("[server]\nmax_streams = 2\n");
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let first = open(addresses[0]).await;
            let _second = open(addresses[1]).await;
            assert_eq!(get(addresses[0], STREAM).await.status, 429);
            drop(first);
            // The connection is found closed at the next event.
            tokio::time::sleep(Duration::from_secs(70)).await;
            open(addresses[0]).await;
        })
        .await;
}
