//! Tests a host that responds in place of a gateway and sends arbitrary data, forever.

use std::net::SocketAddr;

use enphased::io::gateway::{Connected, Endpoint, Error, Target, info};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway_client::open;

/// The beginning of a TLS greeting, to which this host does not respond.
const GREETING: u8 = 0x16;
const INFO: &str =
    "<envoy_info><device><sn>122300000001</sn><software>D5.0.62</software></device></envoy_info>";

/// Responds to every request with `beginning`, and then repeats `piece` for as long as the client reads.
async fn host(beginning: &str, piece: &str) -> SocketAddr {
    start(None, beginning, piece).await
}

/// Does the same after a valid `/info`.
async fn named_host(beginning: &str, piece: &str) -> SocketAddr {
    let info = format!("{OK}Content-Length: {}\r\n\r\n{INFO}", INFO.len());
    start(Some(info), beginning, piece).await
}

async fn start(info: Option<String>, beginning: &str, piece: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (beginning, pieces) = (beginning.to_owned(), piece.repeat(4096 / piece.len().max(1) + 1));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, info.clone(), beginning.clone(), pieces.clone()));
        }
    });
    address
}

async fn serve(
    mut stream: TcpStream,
    info: Option<String>,
    beginning: String,
    pieces: String,
) -> std::io::Result<u8> {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await?);
            if request[0] == GREETING {
                return Ok(GREETING);
            }
        }
        match &info {
            Some(info) if request.starts_with(b"GET /info ") => stream.write_all(info.as_bytes()).await?,
            _ => break,
        }
    }
    stream.write_all(beginning.as_bytes()).await?;
    while !pieces.is_empty() {
        stream.write_all(pieces.as_bytes()).await?;
    }
    // Without a piece the response has ended; the other side closes.
    stream.read_u8().await
}

async fn opened(host: SocketAddr) -> Result<Connected, Error> {
    open(&Target { address: Some(format!("http://{host}").parse().unwrap()), ..Target::default() }).await
}

/// Requests a page from a hostile host, and returns the result.
async fn page(beginning: &str, piece: &str) -> Error {
    let mut gateway = opened(named_host(beginning, piece).await).await.unwrap();
    gateway.get(Endpoint::Production).await.unwrap_err()
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
        // A limit of HTTP itself may be reached first.
        let ended = matches!(error, Error::TooLarge { limit: 65_536, .. } | Error::Malformed { .. });
        assert!(ended, "{what}: {error:?}");
    }
}

#[tokio::test]
async fn each_page_has_a_limit_of_its_own() {
    let page = |length: usize| format!("{OK}Content-Length: {length}\r\n\r\n[{}]", " ".repeat(length - 2));
    for endpoint in [Endpoint::Production, Endpoint::Inverters, Endpoint::DeviceData] {
        let limit = endpoint.page().limit;
        let get = async |length| {
            let mut gateway = opened(named_host(&page(length), "").await).await.unwrap();
            gateway.get(endpoint).await
        };
        assert_eq!(get(limit).await.unwrap().len(), limit);
        let error = get(limit + 1).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: named, .. } if named == limit), "{error:?}");
    }
}

#[tokio::test]
async fn a_long_info_is_not_even_parsed() {
    let info = |padding: usize| {
        let attributes: Vec<String> = (0..padding).map(|n| format!("a{n}=''")).collect();
        let page = format!(
            "<envoy_info {}><device><sn>122300000001</sn><software>D5.0.62</software></device></envoy_info>",
            attributes.join(" ")
        );
        format!("{OK}Content-Length: {}\r\n\r\n{page}", page.len())
    };
    assert!(opened(host(&info(100), "").await).await.is_ok());
    // A second and more of parsing for each 300 kB.
    let error = opened(host(&info(100_000), "").await).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unidentified { why, .. } if why.ends_with(info::NOT_A_GATEWAY)),
        "{error:?}"
    );
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
        for insecure in [false, true] {
            let address = Some(format!("https://{address}").parse().unwrap());
            let error = open(&Target { address, insecure, ..Target::default() }).await.unwrap_err();
            assert!(matches!(error, Error::Incompatible { .. }), "{alert}: {error:?}");
            assert!(error.to_string().contains("tls = \"insecure\" does not change that"), "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_called_so() {
    for beginning in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "\u{15}\u{3}\u{3}\0\u{2}\u{2}F", "<html></html>\r\n\r\n"]
    {
        let error = opened(host(beginning, "x").await).await.unwrap_err();
        let called = matches!(&error, Error::Unidentified { why, .. } if why.starts_with("it is not HTTP"));
        assert!(called, "{error}");
    }
}
