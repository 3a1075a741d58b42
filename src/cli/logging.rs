//! Logs to stderr: a line for people on a terminal, with the journal's priorities under systemd.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::environment::Environment;

/// What is logged unless `$RUST_LOG` says otherwise.
const USUAL: &str = "warn,enphased=info";

/// What `--verbose` shows: the conversation with the cloud, told without a secret.
const CONVERSATION: &str = "enphased::cloud";

/// Begins to log. `$RUST_LOG` takes levels and `target=level`, with commas between; `verbose` adds the conversation
/// with the cloud.
pub fn start(environment: &Environment, verbose: bool) {
    let wanted = environment.log.as_deref().unwrap_or(USUAL);
    let (filter, odd) = match wanted.parse::<Targets>() {
        Ok(filter) => (filter, false),
        Err(_) => (USUAL.parse().unwrap_or_default(), true),
    };
    let filter = if verbose { filter.with_target(CONVERSATION, Level::DEBUG) } else { filter };
    let colour = io::stderr().is_terminal() && !environment.no_color;
    let lines = Lines { journal: environment.journal.as_deref().is_some_and(is_stderr) };
    let layer =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colour).event_format(lines);
    // A second start in one process keeps the first.
    tracing_subscriber::registry().with(layer).with(filter).try_init().ok();
    if odd {
        tracing::warn!(
            "RUST_LOG is not understood and ignored; write it like \"debug\" or \"enphased=debug\""
        );
    }
}

/// Whether `journal`, written `device:inode`, is where stderr goes.
fn is_stderr(journal: &str) -> bool {
    fs::metadata("/proc/self/fd/2").is_ok_and(|file| journal == format!("{}:{}", file.dev(), file.ino()))
}

/// The form of a line.
#[derive(Clone, Copy, Debug)]
struct Lines {
    /// The journal has a time of its own and wants to know the priority.
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        if self.journal {
            let mut text = String::new();
            context.format_fields(Writer::new(&mut text), event)?;
            // The journal takes each line by itself.
            for line in text.lines() {
                writeln!(writer, "<{}>{line}", priority(level))?;
            }
            Ok(())
        } else {
            let mut time = String::new();
            SystemTime.format_time(&mut Writer::new(&mut time))?;
            // Whole seconds are enough for people.
            write!(writer, "{}Z", time.get(..19).unwrap_or(&time))?;
            let word = word(level);
            match colour(level).filter(|_| writer.has_ansi_escapes()) {
                Some(code) => write!(writer, " \x1b[{code}m{word}\x1b[0m ")?,
                None => write!(writer, " {word} ")?,
            }
            context.format_fields(writer.by_ref(), event)?;
            writeln!(writer)
        }
    }
}

/// The priorities of syslog, which the journal reads from the start of a line.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn ",
        Level::INFO => "info ",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn colour(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        _ => None,
    }
}
