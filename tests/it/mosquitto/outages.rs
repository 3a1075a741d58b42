//! A broker that comes back or hangs.

use tokio::time::timeout;

use super::{
    AVAILABILITY, Daemon, LOOK, Mosquitto, PATIENCE, POWER, READING, STATUS, Watcher, kept, options, reading,
};

#[tokio::test]
async fn a_broker_that_comes_back_without_memory_gets_everything_again() {
    comes_back("").await;
}

#[tokio::test]
async fn a_broker_that_comes_back_with_old_values_gets_the_new_ones() {
    comes_back(MEMORY).await;
}

/// The settings of a broker that stores everything immediately, at PATH.
pub(crate) const MEMORY: &str =
    "persistence true\npersistence_location PATH/\nautosave_interval 1\nautosave_on_changes true";

async fn comes_back(memory: &str) {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory.replace("PATH", &dir.path().display().to_string());
    let mut broker = Mosquitto::start(dir, "allow_anonymous true", &memory).await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    daemon.read(1.5);
    kept(&broker, POWER, "1.5").await;
    broker.kill().await;
    let trouble = daemon.trouble().await;
    assert!(trouble.contains("lost") || trouble.contains("cannot be reached"), "{trouble}");
    for power in [2.5, 3.5, 4.5] {
        daemon.read(power);
    }
    broker.restart().await;
    kept(&broker, READING, "4.5").await;
    kept(&broker, POWER, "4.5").await;
    kept(&broker, STATUS, "online").await;
    kept(&broker, AVAILABILITY, "online").await;
    // What came in between is old news.
    let mut live = Watcher::new(&broker);
    daemon.read(5.5);
    live.until(READING, "5.5").await;
    assert!(!format!("{:?}", live.topics.borrow()).contains("2.5"));
}

#[tokio::test]
async fn a_broker_that_hangs_delays_nobody_and_ends_on_the_newest() {
    const READINGS: u32 = 4000;
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    let mut live = Watcher::new(&broker);
    daemon.read(0.5);
    live.until(READING, "0.5").await;

    broker.signal("-STOP").await;
    for n in 0..READINGS {
        // Some kilobytes each: more than the sockets' buffers hold.
        daemon.latest.put_reading(reading(f64::from(n) + 0.5, 99));
        tokio::task::yield_now().await;
    }
    let age = daemon.heartbeat.age();
    let turns = async {
        while daemon.heartbeat.age() >= age.max(LOOK) {
            daemon.read(9999.5);
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, turns).await.expect("the publisher's loop turns while the broker hangs");
    daemon.read(9999.5);
    broker.signal("-CONT").await;

    live.until(READING, "9999.5").await;
    live.until(POWER, "9999.5").await;
    let documents = live.count(READING);
    assert!(documents < READINGS as usize / 2, "{documents} readings were kept for the broker");
    daemon.stop().await;
    live.until(STATUS, "offline").await;
}

#[tokio::test]
async fn a_broker_that_hangs_does_not_hold_up_the_stop() {
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    daemon.read(0.5);
    kept(&broker, READING, "0.5").await;
    broker.signal("-STOP").await;
    daemon.stop().await;
    broker.signal("-CONT").await;
    kept(&broker, STATUS, "offline").await;
}
