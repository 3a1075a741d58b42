//! Tests `enphased check --health`, with which a container runtime asks the daemon that it has started.

use std::net::TcpListener;

use enphased::simulator::Condition;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::site::{Site, text};

/// Returns an address at which nothing listens.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_daemon_that_reads_is_healthy_at_a_plain_and_at_a_tls_listener() {
    for scheme in ["", "tls://"] {
        let site = Site::new();
        site.configure(&format!(
            "[stdout]\nformat = \"json\"\n[server]\nlisten = [\"{scheme}{}\"]\n",
            free_address()
        ));
        let before = site.run(&["check", "--health"]).await;
        assert_eq!(before.status.code(), Some(1));
        let words = text(&before.stderr);
        assert!(words.contains("the daemon does not answer at http"), "{words}");
        assert!(!site.path("state").exists(), "a health check makes no state directory");
        let daemon = site.daemon().await;
        let healthy = site.run(&["check", "--health"]).await;
        assert_eq!(healthy.status.code(), Some(0), "{}", text(&healthy.stderr));
        let words = text(&healthy.stdout);
        let serial = site.gateway().serial();
        assert!(words.contains(&format!("the daemon is ready: gateway {serial} was read")), "{words}");
        let check = text(&site.run(&["check"]).await.stdout);
        assert!(check.contains("the daemon serves at http"), "{check}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_daemon_that_has_read_nothing_is_not_healthy_and_says_why() {
    let site = Site::new();
    site.gateway().set_condition(Condition::Refusing);
    site.configure(&format!("[stdout]\n[server]\nlisten = [\"{}\"]\n", free_address()));
    let mut daemon = site.command(&["run"]).spawn().unwrap();
    let words = loop {
        let unhealthy = site.run(&["check", "--health"]).await;
        assert_eq!(unhealthy.status.code(), Some(1), "{}", text(&unhealthy.stdout));
        let words = text(&unhealthy.stderr);
        if words.contains("did not respond") {
            break words;
        }
        assert!(words.contains("does not answer") || words.contains("not read yet"), "{words}");
    };
    assert!(words.starts_with("enphased: the daemon is not ready: a gateway: "), "{words}");
    daemon.kill().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_healthy() {
    let site = Site::new();
    for (tables, words) in [
        ("[stdout]\n", "write listen below [server]"),
        ("[stdout]\nfromat = \"json\"\n", "did you mean `format`?"),
    ] {
        site.configure(tables);
        let unhealthy = site.run(&["check", "--health"]).await;
        assert_eq!(unhealthy.status.code(), Some(1));
        assert!(text(&unhealthy.stderr).contains(words), "{}", text(&unhealthy.stderr));
    }
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    site.configure(&format!("[server]\nlisten = [\"{}\"]\n", other.local_addr().unwrap()));
    let answer = async {
        let (mut stream, _) = other.accept().await.unwrap();
        // A response before the request is no response.
        let (mut request, mut part) = (Vec::new(), [0; 1024]);
        while !request.ends_with(b"\r\n\r\n") {
            let length = stream.read(&mut part).await.unwrap();
            assert!(length > 0, "the request is cut");
            request.extend_from_slice(&part[..length]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
        stream
    };
    let arguments = ["check", "--health"];
    let (unhealthy, _stream) = tokio::join!(site.run(&arguments), answer);
    assert_eq!(unhealthy.status.code(), Some(1));
    assert!(text(&unhealthy.stderr).contains("another program than enphased"), "{}", text(&unhealthy.stderr));
}
