//! Publishes what is on the board to the broker, for as long as the daemon lives.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::content::Options;
use super::incoming::Meaning;
use super::memory;
use super::outbox::Outbox;
use super::reporting::Reporting;
use crate::app::latest::{Board, Sheet};
use crate::app::requests::{Wish, Wishes};
use crate::base::heartbeat::Pulse;
use crate::base::message::Message;
use crate::io::mqtt::{self, Happened, Order, Session};
use crate::output::topics;

/// The loop comes around at least this often, which its pulse shows, whatever the broker does.
pub const BEAT: Duration = Duration::from_secs(5);
/// How long the farewell may take: the will says the same to everybody if it does not get through.
const FAREWELL: Duration = Duration::from_secs(2);

/// Publishes until `stop`, and then says `offline` and disconnects, within two seconds. Dropped before that,
/// it leaves `offline` to the last will. `caught_up` tells up to which write of the board everything has been
/// handed to the broker.
pub async fn run(
    broker: mqtt::Options,
    options: Options,
    board: &Board,
    pulse: &Pulse,
    rng: Rng,
    caught_up: &watch::Sender<u64>,
    stop: impl Future<Output = ()>,
) {
    let (tell, happened) = mpsc::channel(16);
    let mut connection = pin!(mqtt::keep_connected(broker, rng, tell));
    let (state, wishes) = (options.state.clone(), options.wishes.clone());
    let mut outbox = Outbox::new(options, Instant::now());
    if let Some(state) = &state {
        outbox.recall(state).await;
    }
    let mut publisher = Publisher {
        outbox,
        files: state.map(memory::Files::new),
        wishes,
        session: None,
        reporting: Reporting::default(),
        sheet: board.reader(),
        board,
        caught_up,
    };
    tokio::select! {
        () = publisher.turn(happened, pulse, stop) => {}
        () = &mut connection => return,
    }
    publisher.write_down(None);
    let Publisher { outbox, session, files, .. } = publisher;
    let farewell = async {
        let Some(session) = session else { return };
        let farewell = say(session, outbox.farewell());
        if timeout(FAREWELL, async { tokio::join!(farewell, connection) }).await.is_err() {
            tracing::warn!(
                "the MQTT broker did not take the farewell in time; it will publish the last will"
            );
        }
    };
    let written = async {
        if let Some(files) = &files {
            files.finish(FAREWELL).await;
        }
    };
    tokio::join!(farewell, written);
}

/// Sends the last messages; the session ends with them.
async fn say(session: Session, messages: Vec<Message>) {
    for message in messages {
        if session.ready().await {
            session.send(Order::Publish(message));
        }
    }
}

struct Publisher<'a> {
    outbox: Outbox,
    files: Option<memory::Files>,
    wishes: Option<Wishes>,
    session: Option<Session>,
    reporting: Reporting,
    sheet: watch::Receiver<Sheet>,
    board: &'a Board,
    caught_up: &'a watch::Sender<u64>,
}

impl Publisher<'_> {
    async fn turn(
        &mut self,
        mut happened: mpsc::Receiver<Happened>,
        pulse: &Pulse,
        stop: impl Future<Output = ()>,
    ) {
        let mut stop = pin!(stop);
        // Whether there was nothing to send when it was last looked.
        let mut idle = false;
        loop {
            pulse.beat();
            let beat = Instant::now() + BEAT;
            let wake = self.outbox.wakes().map_or(beat, |wake| wake.min(beat));
            tokio::select! {
                biased;
                () = &mut stop => return,
                Some(news) = happened.recv() => {
                    self.note(news);
                    idle = false;
                }
                ready = ready(self.session.as_ref()), if !idle => idle = !(ready && self.send_next()),
                Ok(()) = self.sheet.changed() => idle = false,
                () = sleep_until(wake) => idle = false,
            }
            self.report(Instant::now());
        }
    }

    /// Says what is not published and what has ended.
    fn report(&mut self, now: Instant) {
        for complaint in self.outbox.complaints() {
            self.reporting.complaint(&complaint, now);
        }
        self.reporting.passed(now);
    }

    /// Sends what is newest now, not what was when the connection became busy; `false` when nothing is owed.
    fn send_next(&mut self) -> bool {
        let Some(session) = &self.session else { return false };
        let now = Instant::now();
        let sheet = self.sheet.borrow_and_update();
        if let Some(order) = self.outbox.next(&sheet, now) {
            session.send(order);
            return true;
        }
        self.caught_up.send_replace(sheet.written());
        drop(sheet);
        self.write_down(Some(now));
        false
    }

    /// Writes down what has been left at the broker, as far as it is time for that at `now`, or before the end.
    fn write_down(&mut self, now: Option<Instant>) {
        if let Some(files) = &mut self.files {
            if now.is_some_and(|now| files.are_lost(now)) {
                self.outbox.rewrite();
            }
            self.outbox.unwritten(now).for_each(|(serial, it)| files.save(serial, it));
        }
    }

    fn note(&mut self, happened: Happened) {
        let now = Instant::now();
        match happened {
            Happened::Connected(session) => {
                self.session = Some(session);
                self.outbox.connected();
                self.board.put_broker_trouble(None);
                self.reporting.connected(now);
            }
            Happened::Incoming { topic, payload, retained } => {
                match self.outbox.incoming(&topic, &payload, retained) {
                    Meaning::Birth => self.reporting.birth(&topic, now),
                    Meaning::Denied => self.reporting.denied(&topic, now),
                    Meaning::Twin(client_id) => self.reporting.twin(&topic, &client_id, now),
                    Meaning::Asked(level) => self.asked(&level, &payload),
                    Meaning::Nothing => {}
                }
            }
            Happened::Rests(flood, until) => self.reporting.rests(flood, until, now),
            Happened::Awake => self.outbox.missed(),
            Happened::Lost(error) => {
                self.session = None;
                self.outbox.lost();
                self.reporting.lost(&error, now);
                self.board.put_broker_trouble(Some(&error.to_string()));
            }
        }
    }

    /// Hands what was asked of a gateway to its poller. Nobody answers for a gateway that is not known.
    fn asked(&self, level: &str, payload: &[u8]) {
        let sheet = self.sheet.borrow();
        let mut serials = sheet.gateways().map(|(serial, _)| serial);
        let serial = serials.find(|serial| topics::level(serial.as_str()) == level);
        let wish = Wish::parse(payload);
        tracing::debug!(level, ?wish, length = payload.len(), known = serial.is_some(), "asked over MQTT");
        if let (Some(wish), Some(serial), Some(wishes)) = (wish, serial, &self.wishes) {
            wishes.put(serial, wish);
        }
    }
}

/// Whether the session can take an order, once it can; for ever without one.
async fn ready(session: Option<&Session>) -> bool {
    match session {
        Some(session) => session.ready().await,
        None => std::future::pending().await,
    }
}
