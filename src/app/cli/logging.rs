//! The log on standard error: lines with a time for people, or with priorities for the journal of systemd.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::panic::{self, PanicHookInfo};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_queue::{Entry, LogQueue};
use crate::app::config::environment::Environment;
use crate::base::printable::{self, one_line};
use crate::io::streams;

/// The filter when `$RUST_LOG` is not set.
const DEFAULT_FILTER: &str = "warn,enphased=info";

/// The target that `--verbose` adds: the requests to the cloud and its responses, without secrets.
const CLOUD_TARGET: &str = "enphased::io::cloud";

/// The maximum number of characters in a message.
const LONGEST_MESSAGE: usize = 1000;

/// The time limit for writing the last lines at the end of the program.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The destination of log lines.
#[derive(Debug)]
pub struct Logs(Option<LogQueue>);

/// Starts the log. `$RUST_LOG` accepts levels and `target=level`, separated by commas; `verbose` adds the exchange with
/// the cloud. A thread writes the lines of a daemon. A command writes its lines immediately, so that they stay in order
/// with its other output.
pub fn start(environment: &Environment, verbose: bool, is_daemon: bool) -> Logs {
    let setting = environment.log.as_deref().unwrap_or(DEFAULT_FILTER);
    let (filter, invalid) = match setting.parse::<Targets>() {
        Ok(filter) => (filter, false),
        Err(_) => (DEFAULT_FILTER.parse().unwrap_or_default(), true),
    };
    let filter = if verbose { filter.with_target(CLOUD_TARGET, Level::DEBUG) } else { filter };
    let colour = io::stderr().is_terminal() && !environment.no_color;
    let lines = Lines { journal: environment.journal.as_deref().is_some_and(is_stderr) };
    // Without a thread, lines are written immediately. The program ends soon for the same reason.
    let queue = is_daemon.then(|| queue(lines)).and_then(Result::ok);
    if let Some(queue) = queue.clone() {
        panic::set_hook(Box::new(move |panic| log_panic(panic, lines, &queue)));
    }
    let writer = match queue.clone() {
        Some(queue) => BoxMakeWriter::new(move || Entry(queue.clone())),
        None => BoxMakeWriter::new(io::stderr),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour).event_format(lines);
    // A second call in one process has no effect.
    tracing_subscriber::registry().with(layer).with(filter).try_init().ok();
    if invalid {
        tracing::warn!("ignoring RUST_LOG, which is invalid; write it like \"debug\" or \"enphased=debug\"");
    }
    Logs(queue)
}

fn queue(lines: Lines) -> io::Result<LogQueue> {
    let stderr = streams::duplicate(io::stderr())?;
    LogQueue::start(stderr, move |lost| {
        let mut line = String::new();
        // Writing to a string does not fail.
        lines.begin(Level::WARN, &mut Writer::new(&mut line)).ok();
        line + &format!(
            "{lost} log lines were lost here: standard error was not read, or could not be written\n"
        )
    })
}

/// Logs a panic through the queue, and waits only a moment: the process may be about to end, and must not wait for a
/// standard error that is not read.
fn log_panic(panic: &PanicHookInfo<'_>, lines: Lines, queue: &LogQueue) {
    let mut line = String::new();
    // Writing to a string does not fail.
    lines.begin(Level::ERROR, &mut Writer::new(&mut line)).ok();
    queue.push((line + &one_line(&panic.to_string(), LONGEST_MESSAGE) + "\n").into_bytes());
    queue.flush(FLUSH_TIMEOUT);
}

impl Logs {
    /// Writes a final message of the program. A failure is ignored, because it could not be reported.
    pub(super) fn write_last(&self, text: &str) {
        match &self.0 {
            Some(queue) => queue.push(text.as_bytes().to_vec()),
            None => io::stderr().write_all(text.as_bytes()).unwrap_or_default(),
        }
    }

    /// Waits a short time until the last lines are written.
    pub fn finish(&self) {
        if let Some(queue) = &self.0 {
            queue.flush(FLUSH_TIMEOUT);
        }
    }
}

/// Returns whether stderr is the file `journal`, given as `device:inode`.
fn is_stderr(journal: &str) -> bool {
    let file = streams::duplicate(io::stderr()).and_then(|file| file.metadata());
    file.is_ok_and(|file| journal == format!("{}:{}", file.dev(), file.ino()))
}

/// The format of a line.
#[derive(Clone, Copy, Debug)]
struct Lines {
    /// Writes the priority in place of the time, which the journal adds itself.
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        self.begin(level, &mut writer)?;
        let mut words = Words::default();
        event.record(&mut words);
        writeln!(writer, "{words}")
    }
}

impl Lines {
    /// Writes the beginning of a line, before the message.
    fn begin(self, level: Level, writer: &mut Writer<'_>) -> fmt::Result {
        if self.journal {
            return write!(writer, "<{}>", priority(level));
        }
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        // Whole seconds are enough for people.
        write!(writer, "{}Z", time.get(..19).unwrap_or(&time))?;
        let word = word(level);
        match colour(level) {
            Some(code) if writer.has_ansi_escapes() => write!(writer, " \x1b[{code}m{word}\x1b[0m "),
            _ => write!(writer, " {word} "),
        }
    }
}

/// The message and the fields of an event. Each may contain text from a gateway, the cloud or a broker, so each is made
/// printable and short here.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = one_line(&text, LONGEST_MESSAGE).into_owned();
        } else {
            self.fields.extend([" ", field.name(), "=", &one_line(&text, printable::LONGEST)]);
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        // An event without a message begins with its first field.
        f.write_str(if self.message.is_empty() { self.fields.trim_start() } else { &self.fields })
    }
}

/// Returns the syslog priority, which the journal reads from the start of a line.
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::base::printable::is_printable;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(journal: bool, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Lines { journal });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_its_message_and_its_fields() {
        let line = logged(true, || {
            tracing::warn!(gateway = %"122300000001", after = ?Some(3), topic = "a b", n = 7, "it is back");
        });
        assert_eq!(line, "<4>it is back gateway=122300000001 after=Some(3) topic=\"a b\" n=7\n");
        let line = logged(false, || tracing::info!("plain \"words\""));
        assert!(line.ends_with("Z info  plain \"words\"\n"), "{line}");
    }

    #[test]
    fn external_text_cannot_forge_a_line_control_a_terminal_or_fill_the_log() {
        let hostile = "x\n<0>forged\r\x1b]0;title\x07\u{9b}31m\u{202e}\u{2028}".repeat(1000);
        for journal in [true, false] {
            let line = logged(journal, || {
                let error = io::Error::other(hostile.clone());
                tracing::warn!(%error, text = hostile, debugged = ?hostile, "it said {hostile}");
            });
            let (line, end) = line.split_at(line.len() - 1);
            assert_eq!(end, "\n");
            assert!(line.chars().all(is_printable), "{line:?}");
            assert!(line.len() < 20_000, "{} bytes", line.len());
        }
    }
}
