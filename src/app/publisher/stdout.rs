//! The task that writes each reading to standard output. A slow reader misses readings and delays nothing.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::alert;
use super::output::Output;
use crate::app::latest::Snapshot;
use crate::base::printable::one_line;
use crate::base::reading::Reading;
use crate::output::domoticz::{self, idx::Idx};
use crate::output::influx;
use crate::output::json;
use crate::output::text;

/// The maximum number of characters in a line for people.
const LONGEST: usize = 1000;

/// The time after which a write that has not finished is reported.
const STUCK: Duration = Duration::from_secs(60);

/// The format of a reading.
#[derive(Clone, Debug)]
pub enum Format {
    /// A line for people, with times in this zone.
    Text(TimeZone),
    /// The JSON document on one line.
    Json,
    /// Messages for `domoticz/in`, one per line.
    Domoticz(Idx),
    /// The line protocol of `InfluxDB`.
    Influx,
}

impl Format {
    const fn is_for_people(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Appends the reading to `out`, in whole lines.
    pub fn write(&self, reading: &Reading, out: &mut String) {
        match self {
            Self::Text(zone) => {
                out.push_str(&text::line(reading, zone));
                out.push('\n');
            }
            Self::Json => json::write(reading, out),
            Self::Domoticz(idx) => domoticz::write(reading, idx, out),
            Self::Influx => influx::write(reading, out),
        }
    }
}

/// The reason that the task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The reader closed the pipe, which is not an error.
    ReaderGone,
    /// No more readings will come.
    NothingMore,
}

/// Writes every reading after the write number `seen`. The format for people also includes changes of the token. A failed
/// write, such as on a full disk, is retried with each reading.
pub async fn run<W>(
    format: &Format,
    mut snapshot: watch::Receiver<Snapshot>,
    seen: &mut u64,
    out: &mut Output<W>,
) -> Ended
where
    W: Write + AsFd + Send + 'static,
{
    let mut failing = None;
    loop {
        let news = news(format, &snapshot.borrow_and_update(), seen);
        if !news.is_empty() {
            let written = write(news, out).await;
            if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                return Ended::ReaderGone;
            }
            report(written, &mut failing);
        }
        if snapshot.changed().await.is_err() {
            return Ended::NothingMore;
        }
    }
}

/// Writes, and reports a reader that has stopped reading.
async fn write<W>(news: String, out: &mut Output<W>) -> io::Result<()>
where
    W: Write + AsFd + Send + 'static,
{
    if let Ok(written) = timeout(STUCK, out.write(news)).await {
        return written;
    }
    let since = Instant::now();
    tracing::warn!("standard output is not being read; dropping readings until it is");
    let written = out.settled().await;
    tracing::info!(after_s = (since.elapsed() + STUCK).as_secs(), "standard output is read again");
    written
}

/// Reports the beginning and the end of a failure, each once.
fn report(written: io::Result<()>, failing: &mut Option<Instant>) {
    match (written, &failing) {
        (Ok(()), None) => {}
        (Ok(()), Some(since)) => {
            tracing::info!(after_s = since.elapsed().as_secs(), "standard output can be written to again");
            *failing = None;
        }
        (Err(error), Some(_)) => tracing::debug!(%error, "still cannot write to standard output"),
        (Err(error), None) => {
            tracing::warn!(%error, "cannot write to standard output; retrying with each reading");
            *failing = Some(Instant::now());
        }
    }
}

/// Writes the newest readings once.
pub async fn write_once<W>(
    format: &Format,
    mut snapshot: watch::Receiver<Snapshot>,
    out: &mut Output<W>,
) -> io::Result<()>
where
    W: Write + AsFd + Send + 'static,
{
    let news = news(format, &snapshot.borrow_and_update(), &mut 0);
    out.write(news).await
}

/// Returns the text for everything after the write number `seen`, and advances `seen` to the newest write.
fn news(format: &Format, snapshot: &Snapshot, seen: &mut u64) -> String {
    let mut news = String::new();
    for (serial, known) in snapshot.gateways_after(*seen) {
        if let Some(token) = known.token.as_ref().filter(|it| it.number > *seen && format.is_for_people()) {
            let words = format!("token of {serial}: {}", token.value.message);
            news.extend([&one_line(&words, LONGEST), "\n"]);
        }
        if let Some(reading) = known.reading.as_ref().filter(|it| it.number > *seen) {
            format.write(&reading.value, &mut news);
        }
        let availability = known.availability.as_ref().map(|it| it.number);
        let is_new = availability.max(known.reading.as_ref().map(|it| it.number)) > Some(*seen);
        if let Format::Domoticz(idx) = format
            && is_new
            && let Some(update) = alert::update(known, idx)
        {
            news.extend([&json::one_line(&update), "\n"]);
        }
    }
    *seen = snapshot.written();
    news
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader, PipeReader, PipeWriter};
    use std::os::fd::OwnedFd;

    use rustix::fs::{OFlags, fcntl_setfl};
    use tokio::task::spawn_blocking;

    use super::*;
    use crate::app::latest::{Latest, TokenReport};
    use crate::base::reading::Serial;
    use crate::base::test_readings;

    fn reading(second: u32) -> Reading {
        Reading { time: test_readings::at(&format!("11:19:{second:02}")), ..test_readings::bare() }
    }

    fn output(out: impl Into<OwnedFd>) -> Output<File> {
        Output::new(File::from(out.into()))
    }

    /// Reads lines on another thread.
    struct Lines(Option<BufReader<PipeReader>>);

    impl Lines {
        async fn next(&mut self) -> String {
            let mut reader = self.0.take().unwrap();
            let read = move || {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                (reader, line)
            };
            let (reader, line) = spawn_blocking(read).await.unwrap();
            self.0 = Some(reader);
            line
        }
    }

    #[tokio::test]
    async fn each_reading_is_written_immediately() {
        let latest = Latest::new();
        let (reader, writer) = io::pipe().unwrap();
        let (mut lines, mut out, mut seen) = (Lines(Some(BufReader::new(reader))), output(writer), 0);
        let writing = run(&Format::Json, latest.reader(), &mut seen, &mut out);
        let reading_on = async {
            for second in 10..13 {
                latest.put_reading(reading(second));
                let line = lines.next().await;
                assert!(line.contains(&format!("11:19:{second}Z")), "{line}");
            }
        };
        tokio::select! { ended = writing => panic!("{ended:?}"), () = reading_on => {} }
    }

    /// Fills a pipe, so that the first line has to wait.
    fn fill(mut writer: &PipeWriter) {
        fcntl_setfl(writer, OFlags::NONBLOCK).unwrap();
        while writer.write(&[b'\n'; 1024]).is_ok() {}
        fcntl_setfl(writer, OFlags::empty()).unwrap();
    }

    #[tokio::test]
    async fn a_slow_reader_gets_the_newest_reading() {
        let latest = Latest::new();
        let (reader, writer) = io::pipe().unwrap();
        fill(&writer);
        let (snapshot, mut out) = (latest.reader(), output(writer));
        let writing = tokio::spawn(async move { run(&Format::Json, snapshot, &mut 0, &mut out).await });
        latest.put_reading(reading(0));
        tokio::task::yield_now().await;
        for second in 1..60 {
            latest.put_reading(reading(second));
        }
        drop(latest);
        let lines = spawn_blocking(move || BufReader::new(reader).lines().map(Result::unwrap).collect());
        let mut lines: Vec<String> = lines.await.unwrap();
        lines.retain(|line| !line.is_empty());
        assert!((1..=2).contains(&lines.len()), "{} lines", lines.len());
        assert!(lines.last().unwrap().contains("11:19:59Z"));
        assert_eq!(writing.await.unwrap(), Ended::NothingMore);
    }

    #[tokio::test]
    async fn a_closed_reader_ends_the_task() {
        let latest = Latest::new();
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        latest.put_reading(reading(0));
        let ended = run(&Format::Influx, latest.reader(), &mut 0, &mut output(writer)).await;
        assert_eq!(ended, Ended::ReaderGone);
    }

    #[tokio::test]
    async fn a_full_disk_does_not_end_the_task() {
        let latest = Latest::new();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let snapshot = latest.reader();
        let mut out = output(full);
        let mut seen = 0;
        let writing = run(&Format::Json, snapshot, &mut seen, &mut out);
        let readings = async {
            for second in 0..3 {
                latest.put_reading(reading(second));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            drop(latest);
        };
        let (ended, ()) = tokio::join!(writing, readings);
        assert_eq!(ended, Ended::NothingMore, "the task ran until the last reading");
    }

    #[test]
    fn the_token_is_shown_to_people_once() {
        let latest = Latest::new();
        let token = TokenReport {
            state: "valid",
            role: None,
            source: None,
            issued_at: None,
            expires_at: None,
            next_login_at: None,
            days_left: Some(300),
            message: "valid for 300 days".to_owned(),
            waiting: None,
            obstacle: None,
        };
        latest.put_token(&Serial::parse("1").unwrap(), token);
        let (snapshot, mut seen) = (latest.reader(), 0);
        let mut shown = || news(&Format::Text(TimeZone::UTC), &snapshot.borrow(), &mut seen);
        assert_eq!(shown(), "token of 1: valid for 300 days\n");
        assert_eq!(shown(), "");
    }
}
