//! Tests `enphased consumer` and the listeners of the built program.

use std::net::TcpListener;

use enphased::io::http::Certificate;
use enphased::io::state_dir::StateDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::site::{Site, text};

const SERVER: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\n";

#[tokio::test]
async fn a_token_is_printed_once_and_only_its_hash_is_kept() {
    let site = Site::new();
    site.configure(SERVER);
    let added = site.run(&["consumer", "add", "evcc"]).await;
    assert!(added.status.success(), "{}", text(&added.stderr));
    let token = text(&added.stdout).trim().to_owned();
    assert_eq!(token.split('.').count(), 3, "{token}");
    assert_eq!(text(&added.stderr), "");
    let state = site.path("state");
    for entry in std::fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        let content = std::fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&content).contains(&token), "{}", path.display());
    }
    let again = site.run(&["consumer", "add", "evcc"]).await;
    assert_eq!(again.status.code(), Some(64));
    assert!(
        text(&again.stderr).contains("there is a consumer called evcc already"),
        "{}",
        text(&again.stderr)
    );
    assert!(site.run(&["consumer", "rename", "evcc", "wallbox"]).await.status.success());
    let list = site.run(&["consumer", "list", "--format", "json"]).await;
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["kind"]), (&"wallbox".into(), &"token".into()));
    assert!(list[0].get("last_seen").is_none(), "nobody has used it: {list}");
    let table = text(&site.run(&["consumer", "list"]).await.stdout);
    assert!(table.contains("wallbox") && table.contains("never"), "{table}");
    assert!(site.run(&["consumer", "remove", "wallbox"]).await.status.success());
    let none = text(&site.run(&["consumer", "list"]).await.stdout);
    assert!(none.contains("no program has asked yet"), "{none}");
}

#[tokio::test]
async fn wrong_input_is_explained() {
    let site = Site::new();
    let added = site.run(&["consumer", "add", "early"]).await;
    assert!(added.status.success());
    assert!(
        text(&added.stderr).contains("neither a server nor a proxy is configured"),
        "{}",
        text(&added.stderr)
    );
    assert!(site.run(&["consumer", "add", "other"]).await.status.success());
    assert!(site.run(&["consumer", "rename", "other", "other"]).await.status.success());
    for (arguments, code, words) in [
        (&["consumer", "add", " "] as &[&str], 64, "a name has 1 to"),
        (&["consumer", "add", "a\nb"], 64, "a name has 1 to"),
        (&["consumer", "add", "a\u{202e}b"], 64, "printable characters"),
        (&["consumer", "rename", "early", "other"], 64, "a consumer called other already"),
        (&["consumer", "remove", "nobody"], 65, "no consumer is called nobody"),
        (&["consumer", "rename", "nobody", "somebody"], 65, "no consumer is called nobody"),
    ] {
        let output = site.run(arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(text(&output.stderr).contains(words), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[tokio::test]
async fn an_address_in_use_ends_the_start_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new();
    site.configure(&format!("[server]\nlisten = [\"{address}\"]\n"));
    let output = site.run(&["run"]).await;
    assert_eq!(output.status.code(), Some(69));
    let words = text(&output.stderr);
    assert!(words.contains(&format!("cannot listen at http://{address}")), "{words}");
    assert_eq!(site.logins(), (0, 0, 0));
    let check = text(&site.run(&["check"]).await.stdout);
    assert!(check.contains("stop the other program, or choose another address"), "{check}");
}

#[tokio::test]
async fn check_shows_each_proxy_who_uses_it_and_what_a_page_costs() {
    let site = Site::new();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    site.configure(&format!("proxy = [\"{address}\"]\n[stdout]\nformat = \"json\"\n"));
    assert!(site.run(&["token", "refresh"]).await.status.success());
    let daemon = site.daemon().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        "GET /ivp/meters HTTP/1.1\r\nHost: localhost\r\nUser-Agent: probe/1\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    let running = text(&site.run(&["check"]).await.stdout);
    let place = format!("for the gateway at {}", site.gateway().address());
    assert!(running.contains(&format!("the daemon serves at http://{address}, {place}")), "{running}");
    assert!(running.contains("; used by probe/1 (127.0.0.1)"), "{running}");
    assert!(running.contains("s for a page (the median of"), "{running}");
    assert_eq!(daemon.stop().await, Some(0));
    let stopped = text(&site.run(&["check"]).await.stdout);
    assert!(stopped.contains("used by probe/1 (127.0.0.1)"), "{stopped}");
    assert_eq!(site.logins(), (1, 1, 1));
}

#[tokio::test]
async fn the_fingerprint_of_the_tls_key_is_shown_beside_the_token() {
    let site = Site::new();
    site.configure("[server]\nlisten = [\"tls://127.0.0.1:0\"]\n");
    let state = StateDir::open(&site.path("state")).unwrap();
    let key = Certificate::of(&state, &["solarpi".to_owned()]).await.unwrap().fingerprint().unwrap();
    for command in [&["token", "status"] as &[&str], &["check"]] {
        let said = text(&site.run(command).await.stdout);
        assert!(said.contains(&format!("its TLS key has the fingerprint {key}")), "{command:?}: {said}");
    }
}
