//! The history over the API.

use std::time::Duration;

use enphased::simulator::SimulationOptions;

use super::api::compare;
use super::client::{get, ready};
use crate::support::house::House;

const PATH: &str = "/api/v1/gateways/122300000001/history";

fn house() -> House {
    let server = "interval = \"2m\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n";
    House::new(SimulationOptions::default()).with(server).with_history()
}

#[tokio::test(start_paused = true)]
async fn days_and_the_curve_are_as_described_in_both_formats() {
    house()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let before = get(at, PATH).await.json();
            assert_eq!(before["values"], serde_json::json!([]), "nothing is written yet");
            tokio::time::sleep(Duration::from_secs(20 * 3600)).await;
            let description = get(at, "/openapi.json").await.json();
            let schema = description.pointer("/components/schemas/History").unwrap();
            let rows = async |query: &str| {
                let reply = get(at, &format!("{PATH}?{query}")).await;
                assert_eq!(reply.status, 200, "{query}: {}", reply.body);
                let json = reply.json();
                compare(&json, schema, &description, query);
                json["values"].as_array().unwrap().clone()
            };
            let days = rows("").await;
            assert_eq!(
                days.iter().map(|day| day["date"].as_str().unwrap()).collect::<Vec<_>>(),
                ["2026-06-21", "2026-06-22"]
            );
            let curve = rows("step=5m&from=2026-06-21&to=2026-06-21").await;
            assert_eq!(curve.len(), 12 * 18);
            let made: i64 = curve.iter().filter_map(|row| row["production_wh"].as_i64()).sum();
            assert_eq!(Some(made), days[0]["production_wh"].as_i64());
            assert!(curve[0].get("storage_w").is_none(), "no battery: {}", curve[0]);
            let months = rows("step=month&from=2026-06&to=2026-06").await;
            assert_eq!((months.len(), months[0]["days"].as_i64()), (1, Some(2)));
            assert!(rows("of=inverters").await.iter().all(|row| row["inverter"].is_string()));
            assert_eq!(rows("of=phases&from=2026-06-21&to=2026-06-21").await.len(), 3);
            assert_eq!(rows("from=2020-01-01&to=2020-12-31").await.len(), 0);
            let csv = get(at, &format!("{PATH}?step=5m&from=2026-06-21&format=csv")).await;
            assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
            let mut lines = csv.body.lines();
            let heading: Vec<&str> = lines.next().unwrap().split(',').collect();
            assert_eq!((heading[0], heading.len()), ("time", 14));
            let first = lines.next().unwrap();
            assert!(first.starts_with("2026-06-21T06:00:00+00:00,"), "{first}");
            assert!(lines.all(|line| line.split(',').count() == 14));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_range_or_not_there_is_a_problem() {
    house()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            tokio::time::sleep(Duration::from_secs(1200)).await;
            for (path, status) in [
                ("122300000001/history?from=yesterday", 400),
                ("122300000001/history?from=2026-07&to=2026-06", 400),
                ("122300000001/history?step=hour", 400),
                ("122300000001/history?step=5m&of=inverters", 400),
                ("122300000001/history?format=xml", 400),
                ("999/history", 404),
                ("a%2Fb/history", 404),
                ("122300000001/history?from=", 400),
                ("122300000001/history?of=", 400),
                ("122300000001/history?unknown=1", 200),
            ] {
                let reply = get(at, &format!("/api/v1/gateways/{path}")).await;
                assert_eq!(reply.status, status, "{path}: {}", reply.body);
                let is_problem = reply.header("content-type") == Some("application/problem+json");
                assert_eq!(is_problem, status != 200, "{path}");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_history_a_request_says_why() {
    let server = "\n[server]\nlisten = [\"127.0.0.1:0\"]\n[history]\nenabled = false\n";
    House::new(SimulationOptions::default())
        .with(server)
        .visited(async |addresses| {
            ready(addresses[0].address).await;
            let reply = get(addresses[0].address, PATH).await;
            assert_eq!(reply.status, 404);
            assert!(reply.body.contains("switched off"), "{}", reply.body);
        })
        .await;
}
