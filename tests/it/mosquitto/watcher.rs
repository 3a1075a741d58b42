//! A client that sees everything at the broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{LOOK, Mosquitto, PATIENCE};

/// A client that subscribes to all topics of the broker.
pub(crate) struct Watcher {
    pub(crate) client: AsyncClient,
    task: JoinHandle<()>,
    pub(crate) topics: watch::Receiver<BTreeMap<String, Vec<String>>>,
    /// Every message in order, with whether it was retained.
    pub(crate) order: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Watcher {
    pub(crate) fn new(broker: &Mosquitto) -> Self {
        let id = format!("watcher{}", fastrand::u32(..));
        let mut options = MqttOptions::new(id, ("localhost", broker.open));
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
        let (tell, topics) = watch::channel(BTreeMap::<String, Vec<String>>::new());
        let order = Arc::new(Mutex::new(Vec::new()));
        let came = Arc::clone(&order);
        let listener = client.clone();
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        listener.subscribe("#", QoS::AtMostOnce).await.unwrap();
                    }
                    Ok(Event::Incoming(Packet::Publish(message))) => tell.send_modify(|topics| {
                        let topic = String::from_utf8(message.topic.to_vec()).unwrap();
                        let payload = String::from_utf8(message.payload.to_vec()).unwrap();
                        came.lock().unwrap().push((topic.clone(), message.retain));
                        topics.entry(topic).or_default().push(payload);
                    }),
                    Ok(_) => {}
                    Err(_) => sleep(LOOK).await,
                }
            }
        });
        Self { client, task, topics, order }
    }

    /// Waits until the newest message on `topic` contains `part`.
    pub(crate) async fn until(&mut self, topic: &str, part: &str) {
        let newest = |topics: &BTreeMap<String, Vec<String>>| {
            topics.get(topic).and_then(|payloads| payloads.last()).is_some_and(|last| last.contains(part))
        };
        let found = timeout(PATIENCE, self.topics.wait_for(newest)).await.is_ok();
        assert!(found, "{topic} never said {part}; seen: {:?}", self.topics.borrow().get(topic));
    }

    pub(crate) async fn say(&self, topic: &str, payload: &'static str) {
        self.client.publish(topic, payload, PublishOptions::at_least_once()).await.unwrap();
    }

    pub(crate) fn count(&self, topic: &str) -> usize {
        self.topics.borrow().get(topic).map_or(0, Vec::len)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until the broker has retained a message with `part` on `topic`.
pub(crate) async fn kept(broker: &Mosquitto, topic: &str, part: &str) {
    Watcher::new(broker).until(topic, part).await;
}
