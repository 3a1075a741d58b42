//! A host on the network that answers in a gateway's place and sends whatever it likes, for ever.

use std::net::SocketAddr;

use enphased::gateway::address::Address;
use enphased::gateway::client::Client;
use enphased::gateway::{Endpoint, Error, info};
use enphased::tls::{Rule, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers every request with `beginning`, and then with `piece` again and again for as long as anybody reads.
async fn host(beginning: &str, piece: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (beginning, pieces) = (beginning.to_owned(), piece.repeat(4096 / piece.len().max(1) + 1));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (beginning, pieces) = (beginning.clone(), pieces.clone());
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await?);
                }
                stream.write_all(beginning.as_bytes()).await?;
                while !pieces.is_empty() {
                    stream.write_all(pieces.as_bytes()).await?;
                }
                // Without a piece the response has ended; the other side closes.
                stream.read_u8().await
            });
        }
    });
    address
}

fn client(host: SocketAddr) -> Client {
    let address: Address = format!("http://{host}").parse().unwrap();
    Client::new(address, Trust::new(Rule::FirstUse), "test").unwrap()
}

/// What becomes of a page that `host` sends.
async fn page(beginning: &str, piece: &str) -> Error {
    client(host(beginning, piece).await).get(Endpoint::Production).await.unwrap_err()
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[tokio::test]
async fn no_response_is_read_without_end_however_it_is_made() {
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    let extended = format!("{chunked}1");
    let ended = format!("{chunked}0\r\n");
    for (beginning, piece, what) in [
        (OK, "X: y\r\n", "headers"),
        (OK, "y", "one header"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", "interim responses"),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "hints"),
        (&chunked, "1\r\n \r\n", "a body in pieces of one byte"),
        (&extended, ";x=y", "one chunk extension"),
        (&chunked, "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n \r\n", "chunk extensions"),
        (&ended, "X: y\r\n", "trailers"),
        ("HTTP/1.1 200 OK\r\n\r\n", " ", "a body that ends with the connection"),
    ] {
        let error = page(beginning, piece).await;
        // Where HTTP has a limit of its own, that may be reached first.
        let ended = matches!(error, Error::TooLarge { limit: 65_536, .. } | Error::Malformed { .. });
        assert!(ended, "{what}: {error:?}");
    }
}

#[tokio::test]
async fn each_page_has_a_limit_of_its_own() {
    let page = |length: usize| format!("{OK}Content-Length: {length}\r\n\r\n[{}]", " ".repeat(length - 2));
    for endpoint in [Endpoint::Production, Endpoint::Inverters, Endpoint::DeviceData] {
        let limit = endpoint.limit();
        let body = client(host(&page(limit), "").await).get(endpoint).await.unwrap();
        assert_eq!(body.len(), limit);
        let error = client(host(&page(limit + 1), "").await).get(endpoint).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: named, .. } if named == limit), "{error:?}");
    }
}

#[tokio::test]
async fn a_long_info_is_not_even_parsed() {
    let info = |padding: usize| {
        let attributes: Vec<String> = (0..padding).map(|n| format!("a{n}=''")).collect();
        let page = format!(
            "<envoy_info {}><device><sn>122300000001</sn><software>D8.3.5289</software></device></envoy_info>",
            attributes.join(" ")
        );
        format!("{OK}Content-Length: {}\r\n\r\n{page}", page.len())
    };
    assert!(client(host(&info(100), "").await).info().await.is_ok());
    // A second and more of parsing for each 300 kB.
    let error = client(host(&info(100_000), "").await).info().await.unwrap_err();
    assert!(matches!(&error, Error::Malformed { why, .. } if why == info::NO_GATEWAY), "{error:?}");
}

#[tokio::test]
async fn no_tls_in_common_is_said_without_advice_that_cannot_help() {
    // Alerts of a server: handshake_failure, protocol_version, insufficient_security.
    for alert in [40_u8, 70, 71] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.read_u8().await.unwrap();
                stream.write_all(&[21, 3, 3, 0, 2, 2, alert]).await.unwrap();
                // To the end, so that the alert is not lost with a reset.
                tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
            }
        });
        for rule in [Rule::FirstUse, Rule::Insecure] {
            let address: Address = format!("https://{address}").parse().unwrap();
            let error = Client::new(address, Trust::new(rule), "test").unwrap().info().await.unwrap_err();
            assert!(matches!(error, Error::Incompatible { .. }), "{alert}: {error:?}");
            assert!(error.to_string().contains("tls = \"insecure\" does not change that"), "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_called_so() {
    for beginning in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "\u{15}\u{3}\u{3}\0\u{2}\u{2}F", "<html></html>\r\n\r\n"]
    {
        let error = client(host(beginning, "x").await).info().await.unwrap_err();
        let called = matches!(&error, Error::Malformed { why, .. } if why.starts_with("it is not HTTP"));
        assert!(called, "{error}");
    }
}
