//! Writes each reading to a pipe or a terminal as it comes. Who reads slowly misses readings and delays
//! nobody.

use std::io;

use jiff::tz::TimeZone;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use crate::board::Sheet;
use crate::domoticz::{self, idx::Idx};
use crate::printable::one_line;
use crate::reading::Reading;
use crate::{influx, json, text};

/// The most characters of a line for people.
const LONGEST: usize = 1000;

/// How a reading is written.
#[derive(Clone, Debug)]
pub enum Format {
    /// A line for people, with times in this zone.
    Text(TimeZone),
    /// The document on one line.
    Json,
    /// A message for `domoticz/in` on each line.
    Domoticz(Idx),
    /// `InfluxDB`'s line protocol.
    Influx,
}

impl Format {
    const fn is_for_people(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Adds the reading to `out`, in whole lines.
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

/// Why nothing is written any more.
#[derive(Debug)]
pub enum Ended {
    /// Whoever read the pipe has closed it: a quiet end.
    ReaderGone,
    /// It cannot be written to.
    Failed(io::Error),
    /// There will be no more readings.
    NothingMore,
}

/// Writes every reading that comes on the board, and flushes after it. For people also how the token is, when
/// that changes. Dropped while it writes, it may leave a line half written.
pub async fn run(
    format: &Format,
    mut sheet: watch::Receiver<Sheet>,
    mut out: impl AsyncWrite + Unpin,
) -> Ended {
    let mut seen = 0;
    loop {
        let news = news(format, &sheet.borrow_and_update(), &mut seen);
        if let Err(error) = write(&mut out, &news).await {
            return match error.kind() {
                io::ErrorKind::BrokenPipe => Ended::ReaderGone,
                _ => Ended::Failed(error),
            };
        }
        if sheet.changed().await.is_err() {
            return Ended::NothingMore;
        }
    }
}

/// Writes what is on the board now, once.
pub async fn write_once(
    format: &Format,
    mut sheet: watch::Receiver<Sheet>,
    mut out: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let news = news(format, &sheet.borrow_and_update(), &mut 0);
    write(&mut out, &news).await
}

async fn write(out: &mut (impl AsyncWrite + Unpin), news: &str) -> io::Result<()> {
    if !news.is_empty() {
        out.write_all(news.as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}

/// What is new since the write `seen` of the board, which is the newest one then.
fn news(format: &Format, sheet: &Sheet, seen: &mut u64) -> String {
    let mut news = String::new();
    for (serial, known) in sheet.gateways_after(*seen) {
        if let Some(token) = known.token.as_ref().filter(|it| it.number > *seen && format.is_for_people()) {
            let words = format!("token of {serial}: {}", token.value.message);
            news.extend([&one_line(&words, LONGEST), "\n"]);
        }
        if let Some(reading) = known.reading.as_ref().filter(|it| it.number > *seen) {
            format.write(&reading.value, &mut news);
        }
    }
    *seen = sheet.written();
    news
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader, duplex};

    use super::*;
    use crate::board::{Board, TokenReport};
    use crate::reading::Serial;
    use crate::sample;

    fn reading(second: u32) -> Reading {
        Reading { time: sample::at(&format!("11:19:{second:02}")), ..sample::bare() }
    }

    #[tokio::test]
    async fn each_reading_is_a_line_at_once() {
        let board = Board::new();
        let (ours, theirs) = duplex(1 << 16);
        let mut lines = BufReader::new(theirs).lines();
        let writing = run(&Format::Json, board.reader(), ours);
        let reading_on = async {
            for second in 10..13 {
                board.put_reading(reading(second));
                let line = lines.next_line().await.unwrap().unwrap();
                assert!(line.contains(&format!("11:19:{second}Z")), "{line}");
            }
        };
        tokio::select! { ended = writing => panic!("{ended:?}"), () = reading_on => {} }
    }

    #[tokio::test]
    async fn who_reads_slowly_gets_the_newest() {
        let board = Board::new();
        // Narrower than one line: the writer is stuck in the first.
        let (ours, theirs) = duplex(16);
        let sheet = board.reader();
        let writing = tokio::spawn(async move { run(&Format::Json, sheet, ours).await });
        board.put_reading(reading(0));
        tokio::task::yield_now().await;
        for second in 1..60 {
            board.put_reading(reading(second));
        }
        drop(board);
        let mut lines = BufReader::new(theirs).lines();
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            seen.push(line);
        }
        assert!(seen.len() <= 2, "{} lines", seen.len());
        assert!(seen.last().unwrap().contains("11:19:59Z"));
        assert!(matches!(writing.await.unwrap(), Ended::NothingMore));
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_ends_it_quietly() {
        let board = Board::new();
        let (ours, theirs) = duplex(1 << 16);
        drop(theirs);
        board.put_reading(reading(0));
        assert!(matches!(run(&Format::Influx, board.reader(), ours).await, Ended::ReaderGone));
    }

    #[test]
    fn people_are_told_of_the_token_once() {
        let board = Board::new();
        let token = TokenReport {
            state: "valid",
            role: None,
            issued_at: None,
            expires_at: None,
            days_left: Some(300),
            message: "valid for 300 days".to_owned(),
        };
        board.put_token(&Serial::parse("1").unwrap(), token);
        let (sheet, mut seen) = (board.reader(), 0);
        let mut shown = || news(&Format::Text(TimeZone::UTC), &sheet.borrow(), &mut seen);
        assert_eq!(shown(), "token of 1: valid for 300 days\n");
        assert_eq!(shown(), "");
    }
}
