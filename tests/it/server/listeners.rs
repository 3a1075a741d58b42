//! Listeners: plain and TLS, addresses in use, and requests that break the limits.

use std::sync::Arc;
use std::time::Duration;

use enphased::app::listeners::{Error, Listeners};
use enphased::io::http::Error as ListenError;
use enphased::io::state_dir::StateDir;
use enphased::io::tls::{Check, gateway_config};
use enphased::simulator::SimulationOptions;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::client::get;
use super::served;
use crate::support::house::House;

#[tokio::test(start_paused = true)]
async fn plain_and_tls_listeners_serve_the_same_and_the_key_stays() {
    let server = "\n[server]\nlisten = [\"127.0.0.1:0\", \"tls://127.0.0.1:0\", \"[::1]:0\"]\n";
    let house = House::new(SimulationOptions::default()).with(server);
    let mut certificates = Vec::new();
    for _ in 0..2 {
        let certificate = house
            .visited(async |addresses| {
                for plain in addresses.iter().filter(|listen| !listen.tls) {
                    assert_eq!(get(plain.address, "/livez").await.status, 200, "{plain}");
                }
                let tls = addresses.iter().find(|listen| listen.tls).unwrap();
                let stream = TcpStream::connect(tls.address).await.unwrap();
                let connector = TlsConnector::from(Arc::new(gateway_config(Check::Ownership).unwrap()));
                let name = ServerName::try_from("localhost").unwrap();
                let mut stream = connector.connect(name, stream).await.unwrap();
                let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
                let text = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                stream.write_all(text.as_bytes()).await.unwrap();
                let mut reply = String::new();
                stream.read_to_string(&mut reply).await.unwrap();
                assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
                certificate
            })
            .await;
        certificates.push(certificate);
    }
    assert_eq!(certificates[0], certificates[1]);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = House::new(SimulationOptions::default())
        .with(&format!("\n[server]\nlisten = [\"{}\"]\n", taken.local_addr().unwrap()));
    let state = StateDir::open(house.state()).unwrap();
    let error = Listeners::open(&house.config(), &state).await.unwrap_err();
    assert!(matches!(error, Error::Listen(ListenError::Busy { .. })), "{error:?}");
    let address = taken.local_addr().unwrap().to_string();
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_break_the_limits_end_their_connection_and_nothing_else() {
    let house = served();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
            for text in [long.as_str(), "nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\0\0\0"] {
                let mut stream = TcpStream::connect(at).await.unwrap();
                stream.write_all(text.as_bytes()).await.unwrap();
                let mut reply = Vec::new();
                // A reset is as good as a refusal.
                stream.read_to_end(&mut reply).await.ok();
                let reply = String::from_utf8_lossy(&reply).into_owned();
                assert!(!reply.starts_with("HTTP/1.1 200"), "{reply}");
            }
            // Nobody may keep a connection by sending nothing, or a part of a head.
            let mut silent = Vec::new();
            for n in 0..300 {
                let Ok(mut stream) = TcpStream::connect(at).await else { break };
                let text = if n % 2 == 0 { "" } else { "GET / HT" };
                stream.write_all(text.as_bytes()).await.ok();
                silent.push(stream);
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(get(at, "/livez").await.status, 200);
            drop(silent);
        })
        .await;
}
