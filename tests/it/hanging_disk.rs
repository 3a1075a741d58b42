//! A disk that hangs under the daemon, in virtual time: polls, the publisher and the watchdog go on, nothing is lost, and
//! there is no login without its record.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enphased::io::state_dir::{Disk, Job, Worker};
use enphased::simulator::{Condition, SimulationOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::support::house::{HOUR, House, MINUTE, one_login};
use crate::support::log::Log;
use crate::support::sd_card::SdCard;

/// A broker that takes everything, and counts the documents.
async fn broker(mut stream: TcpStream, documents: Arc<Mutex<Vec<Instant>>>) -> std::io::Result<()> {
    loop {
        let kind = stream.read_u8().await?;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let digit = stream.read_u8().await?;
            length |= usize::from(digit & 0x7f) << shift;
            shift += 7;
            if digit & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        match kind >> 4 {
            1 => stream.write_all(&[0x20, 2, 0, 0]).await?,
            3 => {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let (topic, rest) = body[2..].split_at(topic);
                if topic.ends_with(b"/reading") {
                    documents.lock().unwrap().push(Instant::now());
                }
                if kind & 0b110 != 0 {
                    stream.write_all(&[0x40, 2, rest[0], rest[1]]).await?;
                }
            }
            8 => stream.write_all(&[0x90, 3, body[0], body[1], 0]).await?,
            12 => stream.write_all(&[0xd0, 0]).await?,
            14 => return Ok(()),
            _ => {}
        }
    }
}

/// Returns the content of a state file.
fn file(house: &House, beginning: &str) -> Option<String> {
    let names = std::fs::read_dir(house.state()).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(beginning);
    names.into_iter().find(name).map(|path| std::fs::read_to_string(path).unwrap())
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_a_disk_that_hangs_delay_no_poll_and_no_message() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let toml = format!("[mqtt]\nurl = \"mqtt://{}\"\n", listener.local_addr().unwrap());
    let documents = Arc::new(Mutex::new(Vec::new()));
    let counted = Arc::clone(&documents);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(broker(stream, Arc::clone(&counted)));
        }
    });
    let (log, _guard) = Log::start();
    let house = House::new(SimulationOptions::default()).with(&toml);
    let (sd, gateway) = (Arc::new(SdCard::default()), &house.simulation.gateways[0]);
    let story = async {
        sleep(HOUR).await;
        sd.hang();
        let (polls, begun) = (house.polls(), Instant::now());
        // A total that is reset has to be written down at once.
        gateway.set_condition(Condition::Zeros);
        sleep(5 * MINUTE).await;
        gateway.heal();
        sleep(5 * MINUTE).await;
        assert_eq!(house.polls(), polls + 20, "the grid of 30 s");
        let sent = documents.lock().unwrap().iter().filter(|sent| **sent >= begun).count();
        assert!(sent >= 19, "{sent} documents");
        sd.respond();
        sleep(MINUTE).await;
    };
    let told = house.live_on(sd.disk(), story).await;
    assert!(told.iter().filter(|line| *line == "WATCHDOG=1").count() >= 71, "{}", told.len());
    assert_eq!(house.cloud(), one_login());
    assert_eq!(log.lines("does not respond").len(), 1, "{:?}", log.lines(""));
    let ended = log.lines(" is responding again after=");
    assert!(ended.len() == 1 && ended[0].contains("after=9 min"), "{ended:?}");
    assert!(file(&house, "counters-").is_some() && file(&house, "announced-").is_some());
}

#[tokio::test(start_paused = true)]
async fn while_the_disk_hangs_there_is_no_login_and_afterwards_there_is_one() {
    let house = House::new(SimulationOptions::default());
    let sd = Arc::new(SdCard::default());
    let story = async {
        sd.hang();
        sleep(10 * MINUTE).await;
        assert_eq!(house.cloud().login_attempts, 0);
        sd.respond();
        sleep(10 * MINUTE).await;
    };
    house.live_on(sd.disk(), story).await;
    assert_eq!(house.cloud(), one_login());
    house.live(HOUR).await;
    assert_eq!(house.cloud(), one_login(), "all of it is on disk");
}

/// The disk hangs at each of the first moments of a login in its turn.
#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_anywhere_in_a_login_costs_no_second_one() {
    let mut hung_before = BTreeSet::new();
    for jobs in 50..110 {
        let house = House::new(SimulationOptions::default()).with("interval = \"5m\"\n");
        let sd = Arc::new(Counting { left: Mutex::new(Some(jobs)), sd: SdCard::default() });
        let story = async {
            sleep(10 * MINUTE).await;
            hung_before.insert(house.cloud().login_attempts);
            sd.left.lock().unwrap().take();
            sd.sd.respond();
            sleep(HOUR).await;
        };
        house.live_on(Disk::new(Arc::clone(&sd) as Arc<dyn Worker>), story).await;
        assert_eq!(house.cloud(), one_login(), "after {jobs} jobs");
        let record = file(&house, "logins.json").unwrap();
        assert_eq!(
            record.matches("\"login\"").count(),
            1,
            "no request is in it that did not leave: {record}"
        );
        house.live(MINUTE).await;
        assert_eq!(house.cloud(), one_login(), "after {jobs} jobs and a restart");
    }
    assert_eq!(hung_before, BTreeSet::from([0, 1]), "before the login and after it began");
}

/// Hangs after so many jobs.
#[derive(Debug)]
struct Counting {
    left: Mutex<Option<u32>>,
    sd: SdCard,
}

impl Worker for Counting {
    fn submit(&self, job: Job) -> bool {
        if let Some(left) = &mut *self.left.lock().unwrap() {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => self.sd.hang(),
            }
        }
        self.sd.submit(job)
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_disk_hangs_ends_in_bounded_time() {
    for with_token in [false, true] {
        let house = House::new(SimulationOptions::default());
        if with_token {
            house.live(MINUTE).await;
        }
        let (sd, stopped) = (Arc::new(SdCard::default()), Mutex::new(None));
        let story = async {
            sd.hang();
            sleep(5 * MINUTE).await;
            *stopped.lock().unwrap() = Some(Instant::now());
        };
        house.live_on(sd.disk(), story).await;
        let took = stopped.lock().unwrap().unwrap().elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}, with a token: {with_token}");
        sd.respond();
        assert!(house.cloud().login_attempts <= 1);
    }
}
