//! What goes to the broker, in its order.

use std::future::pending;

use rumqttc::{AsyncClient, ClientError, PublishOptions, QoS};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::session::{Happened, Order};
use crate::base::message::{Message, Qos};

/// Gives the orders to the connection in their order, and at their end the farewell. Nothing is subscribed to before the
/// time in `rests`.
pub(super) async fn hand_on(
    client: AsyncClient,
    mut orders: mpsc::Receiver<Order>,
    mut rests: watch::Receiver<Option<Instant>>,
    happened: &mpsc::Sender<Happened>,
) {
    let mut filters: Vec<String> = Vec::new();
    let mut until = *rests.borrow_and_update();
    loop {
        tokio::select! {
            biased;
            Ok(()) = rests.changed() => {
                until = *rests.borrow_and_update();
                unsubscribe(&client, &filters).await;
            }
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                until = None;
                subscribe(&client, &filters).await;
                happened.send(Happened::Awake).await.ok();
            }
            order = orders.recv() => match order {
                Some(Order::Publish(message)) => noted(publish(&client, message).await),
                Some(Order::Subscribe(filter)) if until.is_some() => filters.push(filter),
                Some(Order::Subscribe(filter)) => {
                    subscribe(&client, std::slice::from_ref(&filter)).await;
                    filters.push(filter);
                }
                None => return farewell(&client).await,
            },
        }
    }
}

async fn farewell(client: &AsyncClient) {
    if let Err(error) = client.disconnect().await {
        tracing::debug!(%error, "the connection ended before the farewell");
    }
    // The event loop still has to send all that; it ends this future when it has.
    pending::<()>().await;
}

async fn subscribe(client: &AsyncClient, filters: &[String]) {
    for filter in filters {
        noted(client.subscribe(filter.as_str(), QoS::AtMostOnce).await);
    }
}

async fn unsubscribe(client: &AsyncClient, filters: &[String]) {
    for filter in filters {
        noted(client.unsubscribe(filter.as_str()).await);
    }
}

async fn publish(client: &AsyncClient, message: Message) -> Result<(), ClientError> {
    let qos = match message.qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    };
    let how = PublishOptions::new(qos).retain(message.retain);
    client.publish(message.topic, message.payload, how).await
}

fn noted(taken: Result<(), ClientError>) {
    if let Err(error) = taken {
        tracing::debug!(%error, "the connection did not take a message");
    }
}
