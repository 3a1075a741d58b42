//! A value that is seen over HTTP is the value that is seen on MQTT.

use enphased::simulator::SimulationOptions;
use serde_json::Value;

use super::client::{get, ready};
use crate::mosquitto::{Mosquitto, Watcher};
use crate::support::house::House;

#[tokio::test]
async fn mqtt_and_http_have_the_same_document() {
    let broker = Mosquitto::anybody().await;
    let mut watcher = Watcher::new(&broker);
    let outputs = format!(
        "\n[server]\nlisten = [\"127.0.0.1:0\"]\n[mqtt]\nurl = \"mqtt://localhost:{}\"\nhomeassistant = true\n",
        broker.open
    );
    let house = House::new(SimulationOptions::default()).with(&outputs);
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            for gateway in get(at, "/api/v1/gateways").await.json().as_array().unwrap() {
                let serial = gateway["serial"].as_str().unwrap();
                let document = get(at, &format!("/api/v1/gateways/{serial}/reading")).await.json();
                let topic = format!("enphased/{serial}/reading");
                watcher.until(&topic, document["time"].as_str().unwrap()).await;
                let published = watcher.topics.borrow()[&topic].last().unwrap().clone();
                let mut published: Value = serde_json::from_str(&published).unwrap();
                // Only the templates of discovery use these.
                published.as_object_mut().unwrap().remove("entities");
                assert_eq!(published, document);
            }
            let status = get(at, "/api/v1/status").await.json();
            assert_eq!(status["broker"]["connected"], true);
        })
        .await;
}
