//! Live values: the newest first, heartbeats, resuming, and readers that do not read.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Stream, get, ready};
use super::{served, served_with};

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

/// Of 200 readers, 100 get a stream and the others are refused or wait. The daemon's own work does not depend on them: polls
/// stay on their grid, and who comes back gets the newest.
#[tokio::test(start_paused = true)]
async fn an_hour_of_readers_that_do_not_read_delays_no_poll() {
    let house = served_with("max_streams = 100\nmax_consumers = 200\nrequests_per_minute = 6000\n");
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let mut readers = Vec::new();
            for _ in 0..200 {
                let mut stream = TcpStream::connect(at).await.unwrap();
                let text = "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
                stream.write_all(text.as_bytes()).await.unwrap();
                readers.push(stream);
            }
            let before = house.polls();
            tokio::time::sleep(HOUR).await;
            assert_eq!(house.polls() - before, 120);
            drop(readers);
            tokio::time::sleep(Duration::from_secs(60)).await;
            let newest = get(at, "/api/v1/gateways/122300000001/reading").await.json();
            let mut back =
                Stream::open(at, "/api/v1/stream?groups=production&serial=122300000001", &[]).await;
            assert_eq!(back.next().await.unwrap().1["time"], newest["time"]);
            let list = get(at, "/api/v1/consumers").await.json();
            let open: u64 = list.as_array().unwrap().iter().map(|one| one["streams"].as_u64().unwrap()).sum();
            assert_eq!(open, 1, "{list}");
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
