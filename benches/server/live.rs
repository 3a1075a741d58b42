//! Consumers of live values, each with a stream that it reads at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::client::head;
use super::process::memory;
use super::served::Served;

/// How long values are taken: some polls, one of them with the values of each inverter.
const LENGTH: Duration = Duration::from_secs(10);

/// What a number of consumers costs.
pub(crate) struct Cost {
    pub(crate) consumers: usize,
    /// The resident memory without a consumer, in MB.
    pub(crate) idle: f64,
    /// What each consumer adds to the memory of the process, in kB.
    pub(crate) each: f64,
    pub(crate) late: u64,
}

/// Measures the resident memory of the program without a consumer and without the history, in MB.
pub(crate) fn idle_without_history() -> f64 {
    let served = Served::without_history();
    sleep(LENGTH);
    memory(served.id(), "VmRSS:")
}

/// Measures the program before and with `consumers` streams of all groups.
pub(crate) fn cost(consumers: usize) -> Cost {
    let served = Served::start();
    let ((), late_before) = served.late_polls(|| sleep(LENGTH));
    let (idle, before) = (memory(served.id(), "VmRSS:"), memory(served.id(), "RssAnon:"));
    let mut streams: Vec<TcpStream> = (0..consumers).map(|number| open(&served, number)).collect();
    let ((), late) = served.late_polls(|| {
        let begun = Instant::now();
        while begun.elapsed() < LENGTH {
            streams.iter_mut().for_each(take);
            sleep(Duration::from_millis(20));
        }
    });
    let each = (memory(served.id(), "RssAnon:") - before) * 1e3 / consumers as f64;
    Cost { consumers, idle, each, late: late + late_before }
}

/// Opens the stream of a program with a name of its own.
fn open(served: &Served, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).unwrap();
    let request = head("/api/v1/stream", &format!("consumer {number}"), "keep-alive");
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200", "a consumer is refused");
    stream.set_nonblocking(true).unwrap();
    stream
}

/// Reads what is there.
fn take(stream: &mut TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = stream.read(&mut buffer) {
        assert!(length > 0, "a stream has ended");
    }
}
