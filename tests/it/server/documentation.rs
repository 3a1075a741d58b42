//! Runs each `curl` line of docs/server.md against a daemon.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use enphased::app::consumers::tokens::ConsumerTokens;
use enphased::base::clock::Clock;
use enphased::io::state_dir::StateDir;
use enphased::simulator::SimulationOptions;
use tokio::process::Command;

use super::client::{get, ready};
use crate::support::house::House;

#[tokio::test]
async fn each_line_of_the_documentation_works() {
    let server = "\n[server]\nlisten = [\"127.0.0.1:0\", \"tls://127.0.0.1:0\"]\n";
    let house = House::new(SimulationOptions::default()).with(server).with_history();
    let state = StateDir::open(house.state()).unwrap();
    let mut tokens = ConsumerTokens::empty().unwrap();
    let token = tokens.add("docs", None, house.clock.now()).unwrap();
    tokens.write(&state).await.unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/server.md");
    let page = std::fs::read_to_string(page).unwrap();
    house
        .visited(async |addresses| {
            ready(addresses[0].address).await;
            let mut tried = 0;
            for line in page.lines().filter_map(|line| line.strip_prefix("    curl ")) {
                let line = line
                    .replace("http://pi.lan:8480", &addresses[0].to_string())
                    .replace("https://pi.lan:8443", &addresses[1].to_string())
                    .replace("SERIAL", "122300000001")
                    .replace("TOKEN", token.expose());
                let is_endless = line.contains("-N ");
                let limit = if is_endless { "--max-time 2 " } else { "" };
                let ended = Command::new("sh")
                    .arg("-c")
                    .arg(format!("curl -sS -w '\n%{{http_code}}' {limit}{line}"))
                    .stdin(Stdio::null())
                    .output();
                let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap();
                let (out, log) =
                    (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
                // 28: the time of a stream was over.
                let expected = if is_endless { 28 } else { 0 };
                assert_eq!(ended.status.code(), Some(expected), "curl {line}: {out}{log}");
                let status = out.lines().last().unwrap();
                assert!(["200", "202", "303"].contains(&status), "curl {line}: {status}: {out}");
                tried += 1;
            }
            assert!(tried >= 12, "{tried} lines");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn each_metric_of_the_dashboard_exists() {
    let server = "\n[server]\nlisten = [\"127.0.0.1:0\"]\n";
    let house = House::new(SimulationOptions::demo()).with(server);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/grafana.json");
    let page = std::fs::read_to_string(page).unwrap();
    let mut names: Vec<&str> = page
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("enphased_"))
        .collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 10, "{names:?}");
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            // The energy of a day is known from its midnight on.
            let Clock::Simulated(clock) = &house.clock else { unreachable!() };
            clock.set("2026-06-21T23:55:00Z".parse().unwrap());
            tokio::time::sleep(Duration::from_secs(1200)).await;
            ready(at).await;
            let metrics = get(at, "/metrics").await.body;
            let missing: Vec<&&str> =
                names.iter().filter(|name| !metrics.contains(&format!("# TYPE {name} "))).collect();
            assert!(missing.is_empty(), "{missing:?}");
        })
        .await;
}
