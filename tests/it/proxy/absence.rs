//! A gateway that does not respond: at the start, for a while, and after it.

use enphased::rules::proxy::pages;
use enphased::simulator::{Condition, Fault};
use tokio::time::{Duration, Instant, sleep};

use super::client::{Client, get};
use super::{READINGS, polled, proxied, until};

#[tokio::test(start_paused = true)]
async fn the_last_response_is_served_for_ten_minutes_and_the_return_is_no_storm() {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let before = get(addresses[0], "/ivp/ensemble/inventory").await;
            let start = Instant::now();
            gateway.set_condition(Condition::Refusing);
            let mut last = 0;
            for minute in 1..=20 {
                until(start, minute * 60).await;
                let mut statuses = Vec::new();
                for path in [READINGS, "/ivp/ensemble/inventory", "/info"] {
                    let reply = get(addresses[0], path).await;
                    statuses.push(reply.status);
                    if reply.status == 200 {
                        assert!(
                            reply.age() >= 60 * (minute - 1) && reply.age() <= 600,
                            "{path} {}",
                            reply.age()
                        );
                    } else {
                        assert!(reply.header("retry-after").is_some());
                    }
                    if path == "/ivp/ensemble/inventory" && reply.status == 200 {
                        assert_eq!(reply.body, before.body);
                        last = reply.age();
                    }
                }
                let expected = if minute < 10 { 200 } else { 503 };
                if minute != 10 {
                    assert_eq!(statuses, [expected; 3], "after {minute} minutes");
                }
                // A page that was never read is not waited for.
                let asked = Instant::now();
                assert_eq!(get(addresses[0], "/home").await.status, 503);
                assert!(asked.elapsed() < Duration::from_secs(1));
            }
            assert!(last > 500, "{last}");
            let away = gateway.counts().requests;
            gateway.heal();
            let mut client = Client::open(addresses[0]).await;
            for _ in 0..90 {
                for page in pages::all() {
                    client.send(&format!("GET {}", page.path), &[]).await;
                }
                sleep(Duration::from_secs(1)).await;
            }
            let back = gateway.counts();
            let pages = u64::try_from(pages::all().count()).unwrap();
            // Some pages are due again within the minute and a half.
            assert!(back.requests - away < 12 * pages, "{}", back.requests - away);
            assert_eq!(client.send(&format!("GET {READINGS}"), &[]).await.status, 200);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn at_the_start_a_request_waits_for_the_first_response() {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    gateway.fail(Fault::Delay(Duration::from_secs(1)).at("/info"));
    house
        .visited(async |addresses| {
            let asked = Instant::now();
            assert_eq!(get(addresses[0], "/info").await.status, 200);
            assert_eq!(get(addresses[0], "/home").await.status, 404, "the gateway has no such page");
            assert!(asked.elapsed() >= Duration::from_secs(1));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_four_seconds_at_most_and_then_gets_the_last_response() {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let first = get(addresses[0], "/ivp/pdm/energy").await;
            gateway.fail(Fault::Delay(Duration::from_secs(20)).at("/ivp/pdm/energy"));
            gateway.fail(Fault::Delay(Duration::from_secs(20)).at("/ivp/ensemble/status"));
            sleep(Duration::from_secs(6)).await;
            let asked = Instant::now();
            let last = get(addresses[0], "/ivp/pdm/energy").await;
            assert_eq!((last.status, asked.elapsed().as_secs()), (200, 4));
            assert_eq!(last.body, first.body);
            assert!((10..=11).contains(&last.age()), "{}", last.age());
            sleep(Duration::from_secs(60)).await;
            let asked = Instant::now();
            assert_eq!(get(addresses[0], "/ivp/ensemble/status").await.status, 503);
            assert_eq!(asked.elapsed().as_secs(), 4);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_respond_costs_no_other_page() {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            gateway.fail(Fault::Hang.at("/ivp/ss/gen_mode"));
            let start = Instant::now();
            assert_eq!(get(addresses[0], "/ivp/ss/gen_mode").await.status, 503);
            // The request ends after 45 s, and a poll follows at once.
            until(start, 44).await;
            for path in ["/ivp/ensemble/status", "/ivp/sc/pvlimit", READINGS] {
                let status = get(addresses[0], path).await.status;
                assert!([200, 404].contains(&status), "{path}: {status}");
            }
            assert!(start.elapsed() < Duration::from_secs(50), "{:?}", start.elapsed());
        })
        .await;
    assert_eq!(gateway.counts().paths["/ivp/ss/gen_mode"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_page_is_covered_by_its_last_response() {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            for fault in [Fault::Busy, Fault::Redirect, Fault::Html, Fault::Reset, Fault::Truncated] {
                let good = get(addresses[0], "/ivp/pdm/energy").await;
                gateway.fail(fault.clone().at("/ivp/pdm/energy"));
                sleep(Duration::from_secs(65)).await;
                let reply = get(addresses[0], "/ivp/pdm/energy").await;
                assert!(reply.status == 200 && reply.body == good.body, "{fault:?} {}", reply.text());
                gateway.heal();
                sleep(Duration::from_secs(65)).await;
                assert_eq!(get(addresses[0], "/ivp/pdm/energy").await.age(), 0, "{fault:?}");
            }
        })
        .await;
}
