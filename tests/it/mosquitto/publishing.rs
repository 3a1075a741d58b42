//! The publisher as the daemon runs it, and its readings.

use std::time::Duration;

use enphased::app::latest::Latest;
use enphased::app::publisher;
use enphased::base::heartbeat::Heartbeat;
use enphased::base::reading::{GatewayFacts, Inverter, Production, Reading, Serial, Source};
use enphased::base::units::Watts;
use enphased::io::mqtt;
use enphased::io::mqtt::certificates::Certificates;
use enphased::output::homeassistant::Discovery;
use fastrand::Rng;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{PATIENCE, SERIAL};

/// A publisher as the daemon runs it.
pub(crate) struct Daemon {
    pub(crate) latest: Latest,
    pub(crate) heartbeat: Heartbeat,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

pub(crate) fn options(address: mqtt::Address) -> mqtt::Options {
    mqtt::Options {
        address,
        user: None,
        password: None,
        certificates: Certificates::default(),
        client_id: format!("enphased{}", fastrand::u32(..)),
        will: Some(enphased::output::topics::status("enphased", false)),
        burst: mqtt::BURST,
    }
}

/// Returns the options for plain topics without a state directory.
pub(crate) fn content(broker: &mqtt::Options) -> publisher::Options {
    publisher::Options {
        prefix: "enphased".to_owned(),
        topics: true,
        homeassistant: None,
        domoticz: None,
        interval: Duration::from_secs(30),
        instance: broker.client_id.clone(),
        requests: None,
        state: None,
    }
}

pub(crate) fn discovery() -> Discovery {
    Discovery {
        discovery_prefix: "homeassistant".to_owned(),
        prefix: "enphased".to_owned(),
        expire_after: Duration::from_secs(300),
        inverters: true,
        details: false,
        several: false,
        configuration_url: None,
    }
}

impl Daemon {
    pub(crate) fn start(broker: mqtt::Options) -> Self {
        Self::with_discovery(broker, None)
    }

    pub(crate) fn with_discovery(broker: mqtt::Options, homeassistant: Option<Discovery>) -> Self {
        let content = publisher::Options { homeassistant, ..content(&broker) };
        Self::of(broker, content, Latest::new())
    }

    pub(crate) fn of(broker: mqtt::Options, content: publisher::Options, latest: Latest) -> Self {
        let (heartbeat, (stop, stopped)) = (Heartbeat::new(), oneshot::channel());
        let (their_board, their_pulse) = (latest.clone(), heartbeat.clone());
        let task = tokio::spawn(async move {
            let stop = async { stopped.await.unwrap_or(()) };
            let caught_up = watch::Sender::new(0);
            publisher::broker::run(
                broker,
                content,
                &their_board,
                &their_pulse,
                Rng::with_seed(1),
                &caught_up,
                stop,
            )
            .await;
        });
        Self { latest, heartbeat, stop: Some(stop), task }
    }

    pub(crate) fn read(&self, power: f64) {
        self.latest.put_reading(reading(power, 1));
    }

    /// Waits for the message about the problem with the broker.
    pub(crate) async fn trouble(&self) -> String {
        let mut snapshot = self.latest.reader();
        let told = timeout(PATIENCE, snapshot.wait_for(|snapshot| snapshot.broker_trouble().is_some())).await;
        told.expect("the trouble is told").unwrap().broker_trouble().unwrap().to_owned()
    }

    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(PATIENCE, &mut self.task).await.expect("it stops").unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn reading(power: f64, inverters: usize) -> Reading {
    let facts = GatewayFacts {
        serial: Serial::parse(SERIAL).unwrap(),
        name: None,
        firmware: "8.3.5289".to_owned(),
        part_number: None,
        metered: true,
    };
    let mut reading = Reading::empty("2026-11-20T10:19:31Z".parse().unwrap(), facts);
    reading.production = Some(Production {
        power_w: Watts::new(power),
        energy_wh: None,
        today_wh: None,
        yesterday_wh: None,
        source: Source::Meter,
        measured_at: None,
    });
    let inverter = |n: usize| Inverter {
        power_w: Watts::new(power),
        ..Inverter::unmeasured(Serial::parse(&format!("4822000000{n:02}")).unwrap())
    };
    reading.inverters = (0..inverters).map(inverter).collect();
    reading
}
