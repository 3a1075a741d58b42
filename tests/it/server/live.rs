//! Live values: the newest first, heartbeats, resuming, and readers that do not read.

use std::net::SocketAddr;
use std::time::Duration;

use enphased::simulator::{GatewayOptions, Pages, SimulationOptions};
use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Stream, get, ready};
use super::served;
use crate::support::house::House;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_the_newest_and_continues_with_changes_and_heartbeats() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let path = "/api/v1/stream?groups=gateways,production,token&serial=122300000001";
            let mut stream = Stream::open(at, path, &[]).await;
            let mut names = Vec::new();
            while names.len() < 40 {
                let (name, data, id) = stream.next().await.unwrap();
                assert_eq!(id.is_none(), name == "ping", "{name}");
                if name == "production" {
                    assert_eq!(data["gateway"]["serial"], "122300000001");
                    assert!(data.get("inverters").is_none());
                }
                names.push(name);
            }
            assert_eq!(names[..3], ["gateways", "production", "token"]);
            let of = |name: &str| names.iter().filter(|found| *found == name).count();
            assert!(of("ping") > 10 && of("production") > 10 && of("gateways") == 1, "{names:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_resumes_without_a_gap_and_an_id_of_another_run_begins_anew() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let path = "/api/v1/stream?groups=production,inverters&serial=122300000001";
            let mut stream = Stream::open(at, path, &[]).await;
            let (_, first, _) = stream.next().await.unwrap();
            let (_, _, id) = stream.next().await.unwrap();
            drop(stream);
            tokio::time::sleep(Duration::from_secs(300)).await;
            let newest = get(at, "/api/v1/gateways/122300000001/reading").await.json();
            let mut resumed = Stream::open(at, path, &[&format!("Last-Event-ID: {}", id.unwrap())]).await;
            let (name, data, _) = resumed.next().await.unwrap();
            assert_eq!((name.as_str(), &data["time"]), ("production", &newest["time"]));
            assert_ne!(first["time"], data["time"]);
            for id in ["00000000-99999", "nonsense", "-", ""] {
                let mut anew = Stream::open(at, path, &[&format!("Last-Event-ID: {id}")]).await;
                assert_eq!(anew.next().await.unwrap().0, "production", "{id}");
            }
        })
        .await;
}

const MANY: &str =
    "max_connections = 256\nmax_streams = 200\nmax_consumers = 250\nrequests_per_minute = 6000\n";

/// A house with enough gateways that 200 readers cannot keep up with their values.
fn busy() -> House {
    let gateways = (0..6).map(|_| GatewayOptions::new(Pages::metered())).collect();
    let server = format!("\n[server]\nlisten = [\"127.0.0.1:0\"]\n{MANY}");
    House::new(SimulationOptions { gateways, ..SimulationOptions::default() }).with(&server)
}

async fn open_streams(at: SocketAddr) -> u64 {
    let list = get(at, "/api/v1/consumers").await.json();
    list.as_array().unwrap().iter().map(|one| one["streams"].as_u64().unwrap()).sum()
}

/// Returns the time of the newest reading of the first gateway.
async fn newest(at: SocketAddr) -> String {
    let reading = get(at, "/api/v1/gateways/122300000001/reading").await.json();
    reading["time"].as_str().unwrap().to_owned()
}

/// Each reader takes a part of what there is, for an hour. Polls stay on their grid, nobody is disconnected, and nothing
/// queues up but what the buffers of a connection hold: a reader that catches up finds the newest behind it.
#[tokio::test(start_paused = true)]
async fn an_hour_of_slow_readers_delays_no_poll_and_queues_nothing() {
    let house = busy();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let mut readers = Vec::new();
            for _ in 0..200 {
                readers.push(Stream::open_slow(at, "/api/v1/stream").await);
            }
            assert_eq!(get(at, "/api/v1/stream").await.code(), Some(4001), "there are only 200 streams");
            let before = house.polls();
            for _ in 0..120 {
                tokio::time::sleep(Duration::from_secs(30)).await;
                for reader in &mut readers {
                    reader.take(24 * 1024);
                }
            }
            assert_eq!(house.polls() - before, 120);
            assert_eq!(open_streams(at).await, 200);
            let newest = newest(at).await;
            let mut most = 0;
            for reader in &mut readers {
                let taken = reader.received;
                while !reader.next().await.is_some_and(|(name, data, _)| {
                    name == "production" && data["time"].as_str().unwrap() >= newest.as_str()
                }) {}
                most = most.max(reader.received - taken);
            }
            // An hour of values is more than a megabyte.

            assert!(most < 256 * 1024, "{most} bytes were queued");
        })
        .await;
}

/// Readers that take nothing are disconnected, and delay no poll until then.
#[tokio::test(start_paused = true)]
async fn readers_that_take_nothing_delay_no_poll_and_are_given_up() {
    let house = busy();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let mut readers = Vec::new();
            for _ in 0..200 {
                readers.push(Stream::open_slow(at, "/api/v1/stream").await);
            }
            let before = house.polls();
            tokio::time::sleep(HOUR).await;
            assert_eq!(house.polls() - before, 120);
            assert_eq!(open_streams(at).await, 0);
            let newest = newest(at).await;
            let path = "/api/v1/stream?groups=production&serial=122300000001";
            for _ in 0..200 {
                let mut back = Stream::open(at, path, &[]).await;
                assert_eq!(back.next().await.unwrap().1["time"].as_str(), Some(newest.as_str()));
            }
            drop(readers);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn streams_end_promptly_when_the_daemon_stops() {
    let house = served();
    let mut stream = house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let mut stream = Stream::open(at, "/api/v1/stream", &[]).await;
            assert!(stream.next().await.is_some());
            stream
        })
        .await;
    while stream.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_socket_has_the_same_values_and_ends_when_its_pings_are_not_answered() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let url = format!("ws://{at}/api/v1/socket?groups=gateways,production&serial=122300000001");
            let stream = TcpStream::connect(at).await.unwrap();
            let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
            let mut groups = Vec::new();
            while groups.len() < 12 {
                // Reading also answers the pings.
                if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                    let message: serde_json::Value = serde_json::from_str(&text).unwrap();
                    groups.push(message["group"].as_str().unwrap().to_owned());
                }
            }
            assert_eq!(groups[..2], ["gateways", "production"]);
            assert!(groups.contains(&"ping".to_owned()));
            let list = get(at, "/api/v1/consumers").await.json();
            assert!(list.as_array().unwrap().iter().any(|one| one["streams"] == 1), "{list}");
            // Nobody reads any more.
            tokio::time::sleep(Duration::from_secs(200)).await;
            let list = get(at, "/api/v1/consumers").await.json();
            assert!(list.as_array().unwrap().iter().all(|one| one["streams"] == 0), "{list}");
        })
        .await;
}
