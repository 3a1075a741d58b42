//! The page for people: who gets it, what it may load, and that it shows what the API shows.

use std::time::Duration;

use enphased::simulator::{Condition, GatewayOptions, Pages, SimulationOptions};
use serde_json::Value;

use super::client::{Reply, get, ready, request};
use super::{served, served_with};
use crate::support::house::House;

const HTML: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";

async fn page(at: std::net::SocketAddr, path: &str) -> Reply {
    request(at, &format!("GET {path}"), &[HTML]).await
}

/// Returns the text of the element with this id, up to the next section.
fn section<'a>(html: &'a str, id: &str) -> &'a str {
    let rest = html.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {html}")).1;
    rest.split("</section>").next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_browser_gets_the_page_and_a_program_the_list() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let html = page(at, "/").await;
            assert_eq!((html.status, html.header("content-type")), (200, Some("text/html; charset=utf-8")));
            for id in [
                "problems",
                "now",
                "today",
                "history",
                "inverters",
                "batteries",
                "phases",
                "token",
                "readers",
            ] {
                section(&html.body, id);
            }
            assert!(html.body.contains("id=\"connection\""));
            let list = get(at, "/").await;
            assert_eq!(list.header("content-type"), Some("application/json"));
            for (name, address) in list.json().as_object().unwrap() {
                if !["program", "version", "stream", "socket"].contains(&name.as_str()) {
                    assert_eq!(
                        get(at, &format!("/{}", address.as_str().unwrap())).await.status,
                        200,
                        "{name}"
                    );
                }
            }
            assert_eq!((html.header("vary"), list.header("vary")), (Some("Accept"), Some("Accept")));
            let head = request(at, "HEAD /", &[HTML]).await;
            assert_eq!((head.status, head.body.as_str()), (200, ""));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_page_may_load_nothing_from_elsewhere_and_its_parts_are_kept() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let html = page(at, "/").await.body;
            let linked = |name: &str| {
                let rest = html.split_once(&format!("\"{name}?v=")).unwrap().1;
                format!("/{name}?v={}", rest.split('"').next().unwrap())
            };
            for path in
                ["/", "/page/now", "/page/history", "/page/readers", &linked("page.css"), &linked("page.js")]
            {
                let reply = page(at, path).await;
                assert_eq!(reply.status, 200, "{path}");
                let policy = reply.header("content-security-policy").unwrap();
                assert!(
                    policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'self'"),
                    "{path}: {policy}"
                );
                assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
                assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
                assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
                let tag = reply.header("etag").unwrap().to_owned();
                let again =
                    request(at, &format!("GET {path}"), &[HTML, &format!("If-None-Match: {tag}")]).await;
                assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
                let is_kept = reply.header("cache-control").unwrap().contains("immutable");
                assert_eq!(is_kept, path.contains("?v="), "{path}");
            }
            assert_eq!(get(at, "/page.css?v=other").await.header("cache-control"), Some("no-cache"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_may_not_read_is_told_what_to_do() {
    served_with("open_to = [\"192.0.2.0/24\"]\n")
        .visited(async |addresses| {
            let at = addresses[0].address;
            let refused = page(at, "/").await;
            assert_eq!(
                (refused.status, refused.header("content-type")),
                (401, Some("text/html; charset=utf-8"))
            );
            assert!(refused.body.contains("enphased consumer add NAME"), "{}", refused.body);
            assert!(refused.body.contains("/?token=TOKEN") && refused.header("www-authenticate").is_some());
            assert!(refused.header("content-security-policy").unwrap().contains("'sha256-"));
            for path in ["/", "/page/now", "/page/history", "/page/readers", "/page.css", "/page.js"] {
                let reply = get(at, path).await;
                assert_eq!((reply.status, reply.code()), (401, Some(4002)), "{path}");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_the_newest_reading_and_says_when_the_gateway_is_away() {
    let house = served();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            let first = page(at, "/").await.body;
            assert!(section(&first, "now").contains("Waiting for the first reading"), "{first}");
            ready(at).await;
            let shown = page(at, "/page/now").await.body;
            let reading = get(at, "/api/v1/gateways/122300000001/reading").await.json();
            let watts = reading["production"]["power_w"].as_f64().unwrap();
            let watts =
                if watts < 999.5 { format!("{} W", watts.round()) } else { format!("{:.2} kW", watts / 1e3) };
            assert!(section(&shown, "now").contains(&watts), "{watts}: {shown}");
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert_ne!(page(at, "/page/now").await.body, shown, "a new reading");
            house.simulation.gateways[0].set_condition(Condition::Refusing);
            tokio::time::sleep(Duration::from_secs(600)).await;
            let away = page(at, "/page/now").await.body;
            assert!(section(&away, "now").contains("Not now: values of"), "{away}");
            assert!(section(&away, "problems").contains("data-kind=\"gateway\""), "{away}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn texts_from_outside_are_escaped() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let agent = "User-Agent: <script>alert(1)</script>\"";
            let reply = request(at, "GET /", &[HTML, agent]).await.body;
            assert!(reply.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{reply}");
            assert!(!reply.contains("<script>"), "{reply}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_history_is_stepped_through_by_links() {
    let server = "interval = \"2m\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n";
    House::new(SimulationOptions::default())
        .with(server)
        .with_history()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let empty = page(at, "/page/history").await.body;
            assert!(empty.contains("The history is empty"), "{empty}");
            tokio::time::sleep(Duration::from_secs(28 * 3600)).await;
            let today = page(at, "/").await.body;
            let today = section(&today, "history");
            assert!(
                today.contains("Monday, 22 June 2026") && today.contains("href=\"?day=2026-06-21\""),
                "{today}"
            );
            let yesterday = page(at, "/?day=2026-06-21").await.body;
            let yesterday = section(&yesterday, "history");
            assert!(
                yesterday.contains("class=\"area sun\"") && yesterday.contains("href=\"?day=2026-06-22\"")
            );
            let api =
                get(at, "/api/v1/gateways/122300000001/history?from=2026-06-21&to=2026-06-21").await.json();
            let made = api["values"][0]["production_wh"].as_f64().unwrap();
            assert!(yesterday.contains(&format!("produced <b>{:.1} kWh", made / 1e3)), "{made}: {yesterday}");
            for (query, bars) in [("month=2026-06", 4), ("year=2026", 2), ("years=all", 2)] {
                let shown = page(at, &format!("/page/history?{query}")).await.body;
                assert_eq!(shown.matches("<rect").count(), bars, "{query}: {shown}");
            }
            let inverters = page(at, "/page/now").await.body;
            assert!(section(&inverters, "inverters").contains("energy of today"), "{inverters}");
            for wrong in ["/?day=yesterday", "/page/history?month=2026-13", "/page/history?gateway=a/b"] {
                assert_eq!(page(at, wrong).await.status, 400, "{wrong}");
            }
        })
        .await;
}

/// With several gateways, the history is that of all, and each can be chosen.
#[tokio::test(start_paused = true)]
async fn the_history_of_all_gateways_is_their_sum() {
    let server = "interval = \"5m\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n";
    let gateway = || GatewayOptions::new(Pages::metered());
    let options = SimulationOptions { gateways: vec![gateway(), gateway()], ..SimulationOptions::default() };
    House::new(options)
        .with(server)
        .with_history()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            tokio::time::sleep(Duration::from_secs(28 * 3600)).await;
            let mut sum = 0.0;
            let gateways = get(at, "/api/v1/gateways").await.json();
            for gateway in gateways.as_array().unwrap() {
                let serial = gateway["serial"].as_str().unwrap();
                let path = format!("/api/v1/gateways/{serial}/history?from=2026-06-21&to=2026-06-21");
                let made = get(at, &path).await.json()["values"][0]["production_wh"].as_f64().unwrap();
                let one = page(at, &format!("/page/history?day=2026-06-21&gateway={serial}")).await.body;
                assert!(one.contains(&format!("produced <b>{:.1} kWh", made / 1e3)), "{made}: {one}");
                assert!(one.contains("href=\"?day=2026-06-21\">All gateways"), "{one}");
                sum += made;
            }
            for path in ["/?day=2026-06-21", "/?day=2026-06-21&gateway=all"] {
                let all = page(at, path).await.body;
                let all = section(&all, "history");
                assert!(all.contains(&format!("produced <b>{:.1} kWh", sum / 1e3)), "{sum}: {all}");
                assert!(all.contains("class=\"area sun\"") && !all.contains("No sum"), "{all}");
            }
        })
        .await;
}

/// A program in an open network that is not on this machine sees only itself, as in the API.
#[tokio::test(start_paused = true)]
async fn who_reads_is_the_same_as_in_the_api() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            request(at, "GET /api/v1/status", &["User-Agent: evcc/1"]).await;
            let shown = page(at, "/page/readers").await.body;
            let list = get(at, "/api/v1/consumers").await.json();
            let names: Vec<&str> =
                list.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
            assert!(names.iter().any(|name| name.contains("evcc")), "{list}");
            for name in names.iter().filter(|name| !name.is_empty()) {
                assert!(shown.contains(name), "{name}: {shown}");
            }
            assert_eq!(list.get("token"), None::<&Value>);
        })
        .await;
}
