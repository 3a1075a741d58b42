//! A gateway that was replaced, or seems to be.

use std::time::Duration;

use super::{Home, Host, OLD, OTHER, Persona, REAL, watts};
use crate::support::scripted_gateway::{SERIAL, Shown};

#[tokio::test]
async fn a_replaced_gateway_is_called_so() {
    let old = Persona { firmware: OLD, ..REAL };
    let host = Host::start(old, Shown::plain()).await;
    let home = Home::at(&host).await;
    let mut reader = home.reader();
    assert_eq!(watts(&mut reader).await.unwrap().0, SERIAL);
    let mut latest = home.shared.latest.reader();
    host.becomes(Persona { serial: OTHER, watts: 7, ..old }, Shown::plain());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let said = watts(&mut reader).await.unwrap_err();
    assert!(said.contains(&format!("changed from {SERIAL} to {OTHER}")), "{said}");
    assert_eq!(watts(&mut reader).await.unwrap(), (OTHER.to_owned(), 7.0));
    let snapshot = latest.borrow_and_update();
    let events: Vec<String> = snapshot
        .events_after(0)
        .map(|told| format!("{} {}: {}", told.serial.as_ref().unwrap(), told.event.kind, told.event.message))
        .collect();
    let replaced = format!(
        "{OTHER} gateway_replaced: the gateway at {} was replaced: its serial number is now {OTHER}, and was {SERIAL}",
        host.address()
    );
    assert_eq!(events, [replaced]);
}

#[tokio::test]
async fn a_host_that_is_another_gateway_each_time_is_not_read_as_each() {
    const SERIALS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    let old = Persona { firmware: OLD, ..REAL };
    let host = Host::start(old, Shown::plain()).await;
    let home = Home::at(&host).await;
    let mut reader = home.reader();
    watts(&mut reader).await.unwrap();
    let mut said = String::new();
    for serial in SERIALS {
        host.becomes(Persona { serial, ..old }, Shown::plain());
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3600)).await;
        tokio::time::resume();
        // It is asked who it is, and read as that one or not.
        for _ in 0..2 {
            said = watts(&mut reader).await.err().unwrap_or(said);
        }
    }
    assert!(said.contains("changed its serial number again, from 2 to 12;"), "{said}");
    let latest = home.shared.latest.reader();
    assert!(latest.borrow().gateways().count() <= 3);
    // The last one that was read is read again as soon as it is there again, and so is the first.
    for (serial, watts_of_it) in [("2", 7), (SERIAL, 8)] {
        host.becomes(Persona { serial, watts: watts_of_it, ..old }, Shown::plain());
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3600)).await;
        tokio::time::resume();
        watts(&mut reader).await.ok();
        assert_eq!(watts(&mut reader).await.unwrap(), (serial.to_owned(), f64::from(watts_of_it)));
    }
}
