//! Many gateways of one account in one process, polled every 30 seconds.

use std::collections::BTreeMap;
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use enphased::simulator::Gateway;

use super::number;
use super::process::{memory, processor_time};
use super::rig::Rig;

const INTERVAL: Duration = Duration::from_secs(30);

/// What a fleet costs.
struct Cost {
    gateways: usize,
    /// In MB: resident, at most, and what of it is the process's own.
    resident: f64,
    peak: f64,
    own: f64,
    /// Share of a core.
    processor: f64,
    readings: usize,
    expected: usize,
    /// Since the readings began to be counted.
    requests: u64,
    handshakes: u64,
    logins: u64,
}

pub(crate) fn measure() {
    let rounds: u32 = number("ENPHASED_ROUNDS", 3);
    let sizes = env::var("ENPHASED_FLEETS").unwrap_or_else(|_| "1,10,100,1000".to_owned());
    // All at once: each is a process of its own, and together they are a tenth more than the largest.
    let begin = |size: &str| {
        let gateways: usize = size.parse().expect("a number of gateways");
        thread::spawn(move || live(gateways, rounds))
    };
    let fleets: Vec<_> = sizes.split(',').map(begin).collect();
    let costs: Vec<Cost> = fleets.into_iter().map(|fleet| fleet.join().unwrap()).collect();
    println!(
        "\n{:<46}{}",
        "gateways in one process, every 30 s",
        columns(&costs, |cost| cost.gateways.to_string())
    );
    let line =
        |name: &str, figure: &dyn Fn(&Cost) -> String| println!("{name:<46}{}", columns(&costs, figure));
    line("resident memory, MB (target for 1000: 64)", &|cost| format!("{:.2}", cost.resident));
    line("resident memory at most, MB", &|cost| format!("{:.2}", cost.peak));
    line("of it its own, MB", &|cost| format!("{:.2}", cost.own));
    line("of it for each gateway, kB", &|cost| {
        let one = costs.first().map_or(0.0, |one| one.own);
        let more = cost.gateways.saturating_sub(1);
        if more == 0 { "-".to_owned() } else { format!("{:.1}", (cost.own - one) * 1e3 / more as f64) }
    });
    line("share of a core, % (target for 1000: 10)", &|cost| format!("{:.3}", cost.processor * 100.0));
    line("readings", &|cost| cost.readings.to_string());
    line("ticks in that time", &|cost| cost.expected.to_string());
    line("requests of a poll", &|cost| format!("{:.2}", cost.requests as f64 / cost.readings as f64));
    line("TLS handshakes", &|cost| cost.handshakes.to_string());
    line("logins", &|cost| cost.logins.to_string());
}

fn columns(costs: &[Cost], figure: impl Fn(&Cost) -> String) -> String {
    costs.iter().fold(String::new(), |row, cost| row + &format!("{:>12}", figure(cost)))
}

/// A fleet that starts without tokens, measured from when each gateway has been read twice.
fn live(gateways: usize, rounds: u32) -> Cost {
    let rig = Rig::new(gateways);
    let addresses: Vec<String> = rig.simulation.gateways.iter().map(Gateway::address).collect();
    rig.configure(&addresses, "30s", &(Rig::stdout() + &rig.mqtt("topics = false")));
    let mut daemon = rig.daemon();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    // At its second poll a gateway accepts its token, and its entities are announced: a start, and not what a poll costs.
    while seen.values().filter(|readings| **readings > 1).count() < gateways {
        *seen.entry(serial(&daemon.reading())).or_default() += 1;
    }
    // Whoever came first is as far as whoever came last after one more round.
    let mut readings = 0;
    let requests =
        |rig: &Rig| -> u64 { rig.simulation.gateways.iter().map(|gateway| gateway.counts().requests).sum() };
    let asked = requests(&rig);
    let (begun, spent) = (Instant::now(), processor_time(daemon.id()));
    while begun.elapsed() < INTERVAL * rounds {
        daemon.reading();
        readings += 1;
    }
    let lasted = begun.elapsed();
    let counts: Vec<_> = rig.simulation.gateways.iter().map(Gateway::counts).collect();
    Cost {
        gateways,
        resident: memory(daemon.id(), "VmRSS:"),
        peak: memory(daemon.id(), "VmHWM:"),
        own: memory(daemon.id(), "RssAnon:"),
        processor: processor_time(daemon.id()).saturating_sub(spent).as_secs_f64() / lasted.as_secs_f64(),
        readings,
        expected: gateways * rounds as usize,
        requests: requests(&rig) - asked,
        handshakes: counts.iter().map(|counts| counts.handshakes).sum(),
        logins: rig.simulation.cloud.counts().login_attempts,
    }
}

/// Whose reading a line is.
fn serial(line: &str) -> String {
    let (_, rest) = line.split_once("\"serial\":\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}
