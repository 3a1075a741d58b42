//! Forwards commands to the connection, in their order.

use std::future::pending;

use rumqttc::{AsyncClient, ClientError, PublishOptions, QoS};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::session::{BrokerEvent, Command};
use crate::base::message::{Message, Qos};

/// Forwards commands to the connection, and closes it in order after the last one. Subscribes to nothing before the
/// time in `pause`.
pub(super) async fn forward(
    client: AsyncClient,
    mut commands: mpsc::Receiver<Command>,
    mut pause: watch::Receiver<Option<Instant>>,
    events: &mpsc::Sender<BrokerEvent>,
) {
    let mut filters: Vec<String> = Vec::new();
    let mut until = *pause.borrow_and_update();
    loop {
        tokio::select! {
            biased;
            Ok(()) = pause.changed() => {
                until = *pause.borrow_and_update();
                unsubscribe(&client, &filters).await;
            }
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                until = None;
                subscribe(&client, &filters).await;
                events.send(BrokerEvent::Resumed).await.ok();
            }
            command = commands.recv() => match command {
                Some(Command::Publish(message)) => log_error(publish(&client, message).await),
                Some(Command::Subscribe(filter)) if until.is_some() => filters.push(filter),
                Some(Command::Subscribe(filter)) => {
                    subscribe(&client, std::slice::from_ref(&filter)).await;
                    filters.push(filter);
                }
                None => return disconnect(&client).await,
            },
        }
    }
}

async fn disconnect(client: &AsyncClient) {
    if let Err(error) = client.disconnect().await {
        tracing::debug!(%error, "the connection ended before it could be closed in order");
    }
    // The event loop still has to send everything; then it ends this future.
    pending::<()>().await;
}

async fn subscribe(client: &AsyncClient, filters: &[String]) {
    for filter in filters {
        log_error(client.subscribe(filter.as_str(), QoS::AtMostOnce).await);
    }
}

async fn unsubscribe(client: &AsyncClient, filters: &[String]) {
    for filter in filters {
        log_error(client.unsubscribe(filter.as_str()).await);
    }
}

async fn publish(client: &AsyncClient, message: Message) -> Result<(), ClientError> {
    let qos = match message.qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    };
    let options = PublishOptions::new(qos).retain(message.retain);
    client.publish(message.topic, message.payload, options).await
}

fn log_error(result: Result<(), ClientError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "the connection did not accept a message");
    }
}
