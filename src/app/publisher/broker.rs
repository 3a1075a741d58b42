//! The task that publishes the newest values to the broker.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::announced_files;
use super::incoming::Meaning;
use super::options::Options;
use super::outbox::Outbox;
use super::reporting::Reporting;
use crate::app::latest::{Latest, Snapshot};
use crate::app::requests::{Request, Requests};
use crate::base::heartbeat::Heartbeat;
use crate::base::message::Message;
use crate::io::mqtt::{self, BrokerEvent, Command, Session};
use crate::output::topics;

/// The maximum time between two heartbeats of the task, whatever the broker does.
pub const BEAT: Duration = Duration::from_secs(5);
/// The time limit for the last messages. If they fail, the last will has the same effect.
const LAST_MESSAGES_TIMEOUT: Duration = Duration::from_secs(2);

/// Publishes until `stop`, then publishes `offline` and disconnects within two seconds. If the future is dropped earlier,
/// the last will publishes `offline`. `caught_up` receives the number of the newest write that has been passed to the
/// broker.
pub async fn run(
    broker: mqtt::Options,
    options: Options,
    latest: &Latest,
    heartbeat: &Heartbeat,
    rng: Rng,
    caught_up: &watch::Sender<u64>,
    stop: impl Future<Output = ()>,
) {
    let (tell, happened) = mpsc::channel(16);
    let mut connection = pin!(mqtt::keep_connected(broker, rng, tell));
    let (state, requests) = (options.state.clone(), options.requests.clone());
    let mut outbox = Outbox::new(options, Instant::now());
    if let Some(state) = &state {
        outbox.recall(state).await;
    }
    let mut publisher = Publisher {
        outbox,
        files: state.map(announced_files::Files::new),
        requests,
        session: None,
        reporting: Reporting::default(),
        snapshot: latest.reader(),
        latest,
        caught_up,
    };
    tokio::select! {
        () = publisher.run(happened, heartbeat, stop) => {}
        () = &mut connection => return,
    }
    publisher.write_down(None);
    let Publisher { outbox, session, files, .. } = publisher;
    let last = async {
        let Some(session) = session else { return };
        let messages = send_all(session, outbox.last_messages());
        if timeout(LAST_MESSAGES_TIMEOUT, async { tokio::join!(messages, connection) }).await.is_err() {
            tracing::warn!(
                "the MQTT broker did not accept the last messages in time; it will publish the last will"
            );
        }
    };
    let written = async {
        if let Some(files) = &files {
            files.finish(LAST_MESSAGES_TIMEOUT).await;
        }
    };
    tokio::join!(last, written);
}

/// Sends the last messages of a session, which ends with them.
async fn send_all(session: Session, messages: Vec<Message>) {
    for message in messages {
        if session.ready().await {
            session.send(Command::Publish(message));
        }
    }
}

struct Publisher<'a> {
    outbox: Outbox,
    files: Option<announced_files::Files>,
    requests: Option<Requests>,
    session: Option<Session>,
    reporting: Reporting,
    snapshot: watch::Receiver<Snapshot>,
    latest: &'a Latest,
    caught_up: &'a watch::Sender<u64>,
}

impl Publisher<'_> {
    async fn run(
        &mut self,
        mut happened: mpsc::Receiver<BrokerEvent>,
        heartbeat: &Heartbeat,
        stop: impl Future<Output = ()>,
    ) {
        let mut stop = pin!(stop);
        // Whether there was nothing to send at the last attempt.
        let mut idle = false;
        loop {
            heartbeat.beat();
            let beat = Instant::now() + BEAT;
            let wakes = self.outbox.wakes().into_iter().chain(self.reporting.wakes());
            let wake = wakes.fold(beat, Instant::min);
            tokio::select! {
                biased;
                () = &mut stop => return,
                Some(news) = happened.recv() => {
                    self.note(news);
                    idle = false;
                }
                ready = ready(self.session.as_ref()), if !idle => idle = !(ready && self.send_next()),
                Ok(()) = self.snapshot.changed() => idle = false,
                () = sleep_until(wake) => idle = false,
            }
            self.report(Instant::now());
        }
    }

    /// Reports messages that cannot be published, and problems that have ended.
    fn report(&mut self, now: Instant) {
        for unpublished in self.outbox.unpublished() {
            self.reporting.unpublished(&unpublished, now);
        }
        self.reporting.passed(now);
    }

    /// Sends the next message with the newest value; returns `false` if there is nothing to send.
    fn send_next(&mut self) -> bool {
        let Some(session) = &self.session else { return false };
        let now = Instant::now();
        let snapshot = self.snapshot.borrow_and_update();
        if let Some(order) = self.outbox.next(&snapshot, now) {
            session.send(order);
            return true;
        }
        self.caught_up.send_replace(snapshot.written());
        drop(snapshot);
        self.write_down(Some(now));
        false
    }

    /// Saves which topics exist at the broker: those that are due at `now`, or all before the end.
    fn write_down(&mut self, now: Option<Instant>) {
        if let Some(files) = &mut self.files {
            if now.is_some_and(|now| files.are_lost(now)) {
                self.outbox.rewrite();
            }
            self.outbox.save(now, |serial, announced| files.save(serial, announced));
        }
    }

    fn note(&mut self, happened: BrokerEvent) {
        let now = Instant::now();
        match happened {
            BrokerEvent::Connected(session) => {
                self.session = Some(session);
                self.outbox.connected();
                self.latest.put_broker_trouble(None);
                self.reporting.connected(now);
            }
            BrokerEvent::Incoming { topic, payload, retained } => {
                match self.outbox.incoming(&topic, &payload, retained) {
                    Meaning::Birth => self.reporting.birth(&topic, now),
                    Meaning::DeclaredOffline => self.reporting.declared_offline(&topic, now),
                    Meaning::OtherDaemon(client_id) => self.reporting.other_daemon(&topic, &client_id, now),
                    Meaning::Request(level) => self.request(&level, &payload),
                    Meaning::Nothing => {}
                }
            }
            BrokerEvent::Paused(flood, until) => self.reporting.rests(flood, until, now),
            BrokerEvent::Resumed => self.outbox.missed(),
            BrokerEvent::Lost(error) => {
                self.session = None;
                self.outbox.lost();
                self.reporting.lost(&error, now);
                self.latest.put_broker_trouble(Some(&error.to_string()));
            }
        }
    }

    /// Passes a request to the poller of the gateway. A request for an unknown gateway is ignored.
    fn request(&self, level: &str, payload: &[u8]) {
        let snapshot = self.snapshot.borrow();
        let mut serials = snapshot.gateways().map(|(serial, _)| serial);
        let serial = serials.find(|serial| topics::level(serial.as_str()) == level);
        let request = Request::parse(payload);
        tracing::debug!(
            level,
            ?request,
            length = payload.len(),
            known = serial.is_some(),
            "received a request over MQTT"
        );
        if let (Some(request), Some(serial), Some(requests)) = (request, serial, &self.requests) {
            requests.put(serial, request);
        }
    }
}

/// Waits until the session accepts an order, and returns whether it is still open. Waits forever without a session.
async fn ready(session: Option<&Session>) -> bool {
    match session {
        Some(session) => session.ready().await,
        None => std::future::pending().await,
    }
}
