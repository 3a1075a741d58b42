//! The requests that the gateway gets, however many programs ask.

use std::collections::BTreeMap;

use enphased::rules::proxy::pages;
use enphased::simulator::{Fault, SimulationOptions};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use super::client::{Client, get};
use super::{PROXY, READINGS, polled, proxied, proxied_with, until};
use crate::support::house::House;

/// Lets programs ask for every page once a second for a minute and a half, and returns the requests for each page.
async fn ask_for_everything(house: &House, programs: u32) -> BTreeMap<String, u64> {
    house
        .visited(async |addresses| {
            polled(house, addresses[0]).await;
            let start = Instant::now();
            let mut set = JoinSet::new();
            for program in 0..programs {
                let at = addresses[usize::try_from(program % 2).unwrap()];
                set.spawn(async move {
                    let mut client = Client::open(at).await;
                    let name = format!("User-Agent: program {program}");
                    for second in 1..=90 {
                        until(start, second).await;
                        for page in pages::all() {
                            let reply = client.send(&format!("GET {}", page.path), &[&name]).await;
                            assert!(
                                [200, 401, 404].contains(&reply.status),
                                "{} {}",
                                page.path,
                                reply.status
                            );
                        }
                    }
                });
            }
            while let Some(ended) = set.join_next().await {
                ended.unwrap();
            }
        })
        .await;
    house.simulation.gateways[0].counts().paths
}

/// Returns the times of the polls.
fn polls(house: &House) -> Vec<Timestamp> {
    let requests = house.simulation.gateways[0].requests();
    requests.into_iter().filter(|request| request.path == READINGS).map(|request| request.time).collect()
}

#[tokio::test(start_paused = true)]
async fn one_program_and_twenty_lead_to_the_same_requests() {
    let mut all = Vec::new();
    for programs in [1, 5, 20] {
        let house = proxied();
        let counts = ask_for_everything(&house, programs).await;
        let gateway = house.simulation.gateways[0].counts();
        assert_eq!(gateway.connections, 1, "one request at a time, on one connection");
        for page in pages::all() {
            let asked = counts.get(page.path).copied().unwrap_or_default();
            // The first poll, and then once in each period.
            let most = 2 + 90 / page.period(Duration::from_secs(30)).as_secs();
            assert!(asked <= most, "{} programs: {} {asked} times", programs, page.path);
        }
        all.push(counts);
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_each_poll_reads_costs_no_request() {
    let mut all = Vec::new();
    for programs in [0, 7] {
        let house = proxied_with("interval = \"5s\"\n");
        house
            .visited(async |addresses| {
                polled(&house, addresses[0]).await;
                let start = Instant::now();
                for second in 1..=60 {
                    until(start, second).await;
                    for _ in 0..programs {
                        assert_eq!(get(addresses[0], READINGS).await.status, 200);
                    }
                }
            })
            .await;
        all.push(house.polls());
    }
    assert_eq!(all[0], all[1]);
}

#[tokio::test(start_paused = true)]
async fn metrics_show_what_programs_asked_and_how_old_the_pages_are() {
    let house = House::new(SimulationOptions::default())
        .with_gateway(PROXY)
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\n");
    house
        .visited(async |addresses| {
            let (server, proxy) = (addresses[0], addresses[1]);
            polled(&house, proxy).await;
            sleep(Duration::from_secs(7)).await;
            for path in ["/ivp/pdm/energy", "/ivp/pdm/energy", "/ivp/meters/1", "/info"] {
                get(proxy, path).await;
            }
            let metrics = get(server, "/metrics").await.text();
            for line in [
                "enphased_proxy_requests_total{outcome=\"cached\"} 1",
                "enphased_proxy_requests_total{outcome=\"not_listed\"} 1",
                "enphased_proxy_requests_total{outcome=\"info\"} 1",
                &format!(
                    "enphased_proxy_page_age_seconds{{serial=\"{}\",path=\"{READINGS}\"}} 7",
                    house.serial()
                ),
            ] {
                assert!(metrics.contains(line), "{line}\n{metrics}");
            }
            assert!(metrics.contains("# TYPE enphased_proxy_requests_total counter"), "{metrics}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_requests_at_once_share_one() {
    let house = proxied();
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            house.simulation.gateways[0]
                .fail(Fault::Delay(Duration::from_secs(2)).at("/ivp/ensemble/status"));
            let mut set = JoinSet::new();
            for _ in 0..10 {
                for _ in 0..10 {
                    let at = addresses[0];
                    set.spawn(async move { get(at, "/ivp/ensemble/status").await });
                }
                sleep(Duration::from_millis(100)).await;
            }
            let mut replies = Vec::new();
            while let Some(reply) = set.join_next().await {
                replies.push(reply.unwrap().body);
            }
            assert_eq!(replies.len(), 100);
            assert!(replies.iter().all(|body| *body == replies[0]));
        })
        .await;
    assert_eq!(house.simulation.gateways[0].counts().paths["/ivp/ensemble/status"], 1);
}

#[tokio::test(start_paused = true)]
async fn slow_pages_delay_a_poll_by_at_most_one_response_and_the_grid_stays() {
    let slow = Duration::from_secs(9);
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    let start = house.clock.now();
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            for page in pages::all().filter(|page| page.pace == pages::Pace::Slow) {
                gateway.fail(Fault::Delay(slow).at(page.path));
            }
            let begun = Instant::now();
            let mut set = JoinSet::new();
            for page in pages::all().filter(|page| page.pace == pages::Pace::Slow) {
                let at = addresses[0];
                set.spawn(async move {
                    let mut client = Client::open(at).await;
                    while begun.elapsed() < Duration::from_secs(600) {
                        client.send(&format!("GET {}", page.path), &[]).await;
                        sleep(Duration::from_secs(1)).await;
                    }
                });
            }
            while let Some(ended) = set.join_next().await {
                ended.unwrap();
            }
        })
        .await;
    let polls = polls(&house);
    assert!(polls.len() >= 20, "{}", polls.len());
    let mut late = 0;
    for (n, poll) in polls.iter().enumerate() {
        let since = poll.duration_since(start).as_secs();
        let (tick, delay) = (since / 30, since % 30);
        assert_eq!(tick, i64::try_from(n).unwrap(), "no poll is left out: {polls:?}");
        assert!(delay <= 9, "{delay} s late");
        late += u32::from(delay > 0);
    }
    assert!(late > 1, "the slow pages were in the way");
}
