//! Time as an argument. The one place that reads the system's clock.
//!
//! A Raspberry Pi has no clock battery: after a power cut its wall clock may be wrong until the network time
//! arrives. So a [`Moment`] carries, beside the wall clock, how long the machine has been up and in which
//! boot, which no correction of the clock can move.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// What the name of a boot begins with where only the process is known.
const PROCESS: &str = "process-";

/// One instant, told by two clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, which may jump.
    pub wall: Timestamp,
    /// Which run of the machine it is: a new value after each boot.
    pub boot: String,
    /// How long that run has lasted, sleep included; it never jumps.
    pub up: Duration,
}

impl Moment {
    /// Whether `boot` stands for the machine's boot. Where the machine does not tell, it stands for this
    /// process, and the uptime is the process's.
    pub fn tells_boot(&self) -> bool {
        !self.boot.starts_with(PROCESS)
    }
}

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's.
    System(SystemClock),
    /// One that moves with tokio's, so that a test or the demo can choose the date.
    Simulated(SimulatedClock),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        let boot = read_trimmed("/proc/sys/kernel/random/boot_id");
        // Without Linux's own boot id each process is a boot of its own: careful, never wrong.
        let boot = boot.unwrap_or_else(|| format!("{PROCESS}{:016x}", fastrand::u64(..)));
        Self::System(SystemClock { boot: boot.into(), started: Instant::now(), process_began: None })
    }

    /// The machine's clock, which knows when this process was started: for what a person asks for with a command.
    pub fn of_process() -> Self {
        match Self::system() {
            Self::System(clock) => Self::System(SystemClock { process_began: process_began(), ..clock }),
            simulated @ Self::Simulated(_) => simulated,
        }
    }

    /// The uptime when the process was started, where that is known.
    pub fn process_began(&self) -> Option<Duration> {
        match self {
            Self::System(clock) => clock.process_began,
            Self::Simulated(_) => None,
        }
    }

    /// A clock that shows `start` now and moves with tokio's time.
    pub fn simulated(start: Timestamp) -> Self {
        Self::hurried(start, 1)
    }

    /// The same, `speed` times as fast.
    pub fn hurried(start: Timestamp, speed: u32) -> Self {
        let dial = Dial { wall: start, since: Instant::now(), boot: 0, booted: Instant::now(), speed };
        Self::Simulated(SimulatedClock(Arc::new(Mutex::new(dial))))
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System(_) => system_now(),
            Self::Simulated(clock) => clock.dial().wall(),
        }
    }

    /// The wall clock and the machine's uptime, taken together.
    pub fn moment(&self) -> Moment {
        match self {
            Self::System(clock) => {
                Moment { wall: system_now(), boot: clock.boot.to_string(), up: clock.up() }
            }
            Self::Simulated(clock) => clock.dial().moment(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one lawful place")]
fn system_now() -> Timestamp {
    Timestamp::now()
}

fn read_trimmed(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(target_os = "linux")]
fn since_boot() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

/// The kernel's note of when this process was started, which no delay of a busy machine moves (proc(5), field 22 of
/// `/proc/self/stat`).
#[cfg(target_os = "linux")]
fn process_began() -> Option<Duration> {
    let stat = read_trimmed("/proc/self/stat")?;
    // The name of the program, in parentheses, may hold anything.
    let (_name, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
    // The kernel rounds down; what happened in the tick before the start was not after it.
    let milliseconds = ticks.checked_add(1)?.checked_mul(1000)?;
    milliseconds.checked_div(rustix::param::clock_ticks_per_second()).map(Duration::from_millis)
}

#[cfg(not(target_os = "linux"))]
fn process_began() -> Option<Duration> {
    None
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Option<Duration> {
    None
}

/// The machine's clock; see [`Clock::system`].
#[derive(Clone, Debug)]
pub struct SystemClock {
    boot: Arc<str>,
    started: Instant,
    process_began: Option<Duration>,
}

impl SystemClock {
    /// Linux counts suspended time too; elsewhere the life of this process.
    fn up(&self) -> Duration {
        since_boot().unwrap_or_else(|| self.started.elapsed())
    }
}

/// A clock for tests and the demo; clones show the same time.
#[derive(Clone)]
pub struct SimulatedClock(Arc<Mutex<Dial>>);

#[derive(Debug)]
struct Dial {
    wall: Timestamp,
    since: Instant,
    boot: u32,
    booted: Instant,
    speed: u32,
}

impl Dial {
    fn wall(&self) -> Timestamp {
        let passed =
            SignedDuration::try_from(self.since.elapsed() * self.speed).unwrap_or(SignedDuration::ZERO);
        self.wall.saturating_add(passed).unwrap_or(self.wall)
    }

    fn moment(&self) -> Moment {
        Moment {
            wall: self.wall(),
            boot: format!("boot-{}", self.boot),
            up: self.booted.elapsed() * self.speed,
        }
    }
}

impl SimulatedClock {
    fn dial(&self) -> std::sync::MutexGuard<'_, Dial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the wall clock to `wall`, as a correction by network time does.
    pub fn set(&self, wall: Timestamp) {
        let mut dial = self.dial();
        dial.wall = wall;
        dial.since = Instant::now();
    }

    /// A new boot of the machine: uptime begins again.
    pub fn reboot(&self) {
        let mut dial = self.dial();
        dial.boot += 1;
        dial.booted = Instant::now();
    }
}

impl fmt::Debug for SimulatedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedClock({})", self.dial().wall())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_correction_moves_the_wall_clock_and_not_the_uptime() {
        let clock = Clock::simulated("2026-06-21T12:00:00Z".parse().unwrap());
        tokio::time::advance(Duration::from_secs(3600)).await;
        let Clock::Simulated(dial) = &clock else { unreachable!() };
        dial.set("2020-01-01T00:00:00Z".parse().unwrap());
        let moment = clock.moment();
        assert_eq!(moment.wall.to_string(), "2020-01-01T00:00:00Z");
        assert_eq!(moment.up, Duration::from_secs(3600));
        dial.reboot();
        assert_ne!(clock.moment().boot, moment.boot);
        assert_eq!(clock.moment().up, Duration::ZERO);
    }

    #[tokio::test]
    async fn a_process_knows_when_it_was_started() {
        let clock = Clock::of_process();
        assert_eq!(Clock::system().process_began(), None);
        let began = clock.process_began().unwrap();
        // Rounded up to a tick, of which there are a hundred in a second.
        assert!(began <= clock.moment().up + Duration::from_millis(20), "{began:?}");
        assert!(!began.is_zero());
    }

    #[tokio::test]
    async fn the_system_tells_its_boot_and_uptime() {
        let clock = Clock::system();
        let (first, second) = (clock.moment(), clock.moment());
        assert_eq!(first.boot, second.boot);
        assert!(second.up >= first.up);
    }
}
