//! Time as an argument. Only this module reads the system's clock.
//!
//! A Raspberry Pi has no clock battery: after a power cut its wall clock may be wrong until network time arrives. So a
//! [`Moment`] also has the uptime and the boot id, which corrections of the clock do not change.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The prefix of a boot id that identifies only the process.
const PROCESS: &str = "process-";

/// A point in time on the wall clock and on the uptime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, which may jump.
    pub wall: Timestamp,
    /// The boot id, which is new after each boot.
    pub boot: String,
    /// The uptime, including sleep; it never jumps.
    pub up: Duration,
}

impl Moment {
    /// Returns `true` if `boot` identifies the machine's boot.
    ///
    /// If the machine has no boot id, `boot` identifies the process, and `up` is the age of the process.
    pub fn has_boot_id(&self) -> bool {
        !self.boot.starts_with(PROCESS)
    }
}

/// A source of time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System(SystemClock),
    /// A clock that follows tokio's time, so that a test or the demo can choose the date.
    Simulated(SimulatedClock),
}

impl Clock {
    /// Returns the machine's clock.
    pub fn system() -> Self {
        let boot = read_trimmed("/proc/sys/kernel/random/boot_id");
        // Without a boot id, each process counts as a boot, which is always safe.
        let boot = boot.unwrap_or_else(|| format!("{PROCESS}{:016x}", fastrand::u64(..)));
        Self::System(SystemClock { boot: boot.into(), started: Instant::now(), process_began: None })
    }

    /// Returns the machine's clock with the start time of this process, which is the time of the operator's command.
    pub fn of_process() -> Self {
        match Self::system() {
            Self::System(clock) => Self::System(SystemClock { process_began: process_began(), ..clock }),
            simulated @ Self::Simulated(_) => simulated,
        }
    }

    /// Returns the uptime at the start of the process, if it is known.
    pub fn process_began(&self) -> Option<Duration> {
        match self {
            Self::System(clock) => clock.process_began,
            Self::Simulated(_) => None,
        }
    }

    /// Returns a clock that shows `start` now and follows tokio's time.
    pub fn simulated(start: Timestamp) -> Self {
        Self::accelerated(start, 1)
    }

    /// Returns a clock that shows `start` now and runs `speed` times as fast as tokio's time.
    pub fn accelerated(start: Timestamp, speed: u32) -> Self {
        let dial = Dial { wall: start, since: Instant::now(), boot: 0, booted: Instant::now(), speed };
        Self::Simulated(SimulatedClock(Arc::new(Mutex::new(dial))))
    }

    /// Returns how many times as fast as tokio's time the clock runs.
    pub fn speed(&self) -> u32 {
        match self {
            Self::System(_) => 1,
            Self::Simulated(clock) => clock.dial().speed,
        }
    }

    /// Returns the wall clock.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System(_) => system_now(),
            Self::Simulated(clock) => clock.dial().wall(),
        }
    }

    /// Returns the wall clock and the uptime.
    pub fn moment(&self) -> Moment {
        match self {
            Self::System(clock) => {
                Moment { wall: system_now(), boot: clock.boot.to_string(), up: clock.up() }
            }
            Self::Simulated(clock) => clock.dial().moment(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "only this module reads the system's clock")]
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

/// Returns the uptime at the start of the process, as recorded by the kernel (proc(5), field 22 of `/proc/self/stat`).
///
/// Unlike a reading of the clock, it does not depend on the load of the machine.
#[cfg(target_os = "linux")]
fn process_began() -> Option<Duration> {
    let stat = read_trimmed("/proc/self/stat")?;
    // The name of the program, in parentheses, may contain any character.
    let (_name, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
    // The kernel rounds down. Rounding up assigns events of that tick to the time before the start.
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

/// The machine's clock, created by [`Clock::system`].
#[derive(Clone, Debug)]
pub struct SystemClock {
    boot: Arc<str>,
    started: Instant,
    process_began: Option<Duration>,
}

impl SystemClock {
    /// Returns the uptime, including suspended time, on Linux; elsewhere the age of this process.
    fn up(&self) -> Duration {
        since_boot().unwrap_or_else(|| self.started.elapsed())
    }
}

/// A clock for tests and the demo. Clones share the time.
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

    /// Sets the wall clock, like a correction by network time.
    pub fn set(&self, wall: Timestamp) {
        let mut dial = self.dial();
        dial.wall = wall;
        dial.since = Instant::now();
    }

    /// Simulates a boot: the uptime restarts.
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
        // Rounded up to a tick of 10 ms.
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
