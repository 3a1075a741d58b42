//! What the broker has while the daemon comes, goes, or may not connect.

use std::collections::BTreeMap;
use std::path::Path;

use enphased::app::latest::Availability;
use enphased::base::reading::Serial;
use enphased::base::secrets::Secret;
use enphased::io::mqtt;
use enphased::output::homeassistant::Discovery;
use tokio::process::Command;
use tokio::time::timeout;

use super::{
    AVAILABILITY, Daemon, Mosquitto, PATIENCE, POWER, READING, SERIAL, STATUS, Watcher, discovery, kept,
    options,
};

#[tokio::test]
async fn what_is_published_is_kept_and_a_clean_stop_says_offline() {
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    daemon.read(1234.5);
    kept(&broker, STATUS, "online").await;
    kept(&broker, AVAILABILITY, "online").await;
    kept(&broker, READING, "1234.5").await;
    kept(&broker, POWER, "1234.5").await;
    let mut live = Watcher::new(&broker);
    daemon
        .latest
        .put_availability(&Serial::parse(SERIAL).unwrap(), Availability::Offline("no answer".to_owned()));
    live.until(AVAILABILITY, "offline").await;
    daemon.read(1.5);
    live.until(READING, "1.5").await;
    daemon.stop().await;
    kept(&broker, STATUS, "offline").await;
    kept(&broker, AVAILABILITY, "offline").await;
}

#[tokio::test]
async fn a_daemon_that_dies_is_declared_offline_by_its_will() {
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    let mut live = Watcher::new(&broker);
    live.until(STATUS, "online").await;
    drop(daemon);
    live.until(STATUS, "offline").await;
    kept(&broker, STATUS, "offline").await;
}

#[tokio::test]
async fn who_comes_up_gets_the_announcements_and_the_state_again() {
    let broker = Mosquitto::anybody().await;
    let discovery = Discovery { inverters: false, ..discovery() };
    let daemon = Daemon::with_discovery(options(broker.address("mqtt")), Some(discovery));
    daemon.read(1.5);
    kept(&broker, READING, "1.5").await;
    let mut live = Watcher::new(&broker);
    live.until(READING, "1.5").await;
    live.say("homeassistant/status", "online").await;
    let again = |topics: &BTreeMap<String, Vec<String>>| {
        let mut configurations = topics.iter().filter(|(topic, _)| topic.ends_with("/config")).peekable();
        configurations.peek().is_some()
            && configurations.all(|(_, seen)| seen.len() == 2)
            && topics[READING].len() == 2
    };
    assert!(timeout(PATIENCE, live.topics.wait_for(again)).await.is_ok(), "{:?}", live.topics.borrow());
}

#[tokio::test]
async fn a_message_of_offline_by_another_daemon_is_put_right() {
    let broker = Mosquitto::anybody().await;
    let _daemon = Daemon::start(options(broker.address("mqtt")));
    let other = Daemon::start(options(broker.address("mqtt")));
    let mut live = Watcher::new(&broker);
    live.until(STATUS, "online").await;
    drop(other);
    let denied = |topics: &BTreeMap<String, Vec<String>>| {
        topics.get(STATUS).is_some_and(|words| words.ends_with(&["offline".to_owned(), "online".to_owned()]))
    };
    let put_right = timeout(PATIENCE, live.topics.wait_for(denied)).await;
    assert!(put_right.is_ok());
}

#[tokio::test]
async fn a_wrong_password_is_told_and_tried_again_until_it_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let passwords = dir.path().join("passwords");
    set_password(&passwords, "another").await;
    let listener = format!("allow_anonymous false\npassword_file {}", passwords.display());
    let mut broker = Mosquitto::start(dir, &listener, "").await;
    let with_password = mqtt::Options {
        user: Some("solar".to_owned()),
        password: Some(Secret::new("sunshine".to_owned())),
        ..options(broker.address("mqtt"))
    };
    let daemon = Daemon::start(with_password);
    daemon.read(7.5);
    let trouble = daemon.trouble().await;
    assert!(trouble.contains("refused the user \"solar\" or its password"), "{trouble}");
    assert!(!trouble.contains("sunshine"));

    let nobody = Daemon::start(options(broker.address("mqtt")));
    let trouble = nobody.trouble().await;
    assert!(trouble.contains("refused a connection without a user"), "{trouble}");

    set_password(&passwords, "sunshine").await;
    broker.kill().await;
    broker.restart().await;
    kept(&broker, READING, "7.5").await;
    assert_eq!(daemon.latest.reader().borrow().broker_trouble(), None);
}

pub(crate) async fn set_password(file: &Path, password: &str) {
    let mut make = Command::new("mosquitto_passwd");
    make.args(["-c", "-b"]).arg(file).args(["solar", password]);
    assert!(make.status().await.unwrap().success());
}
