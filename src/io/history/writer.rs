//! Writes the history. Runs on a thread of its own, because a disk may block for minutes, and another program may lock the
//! file.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::Error;
use super::file::{HistoryFile, Identity};
use super::rows::{Batch, Counted, Growth, Kind, Sample, Series, Step};
use super::stored::{counted, id_of_gateway};
use crate::base::reading::Serial;
use crate::base::units::{Percent, WattHours, Watts};

/// The longest time whose samples are deleted at once, in seconds: 30 days. A shorter `keep` frees the file little by
/// little, and a clock that is years ahead deletes little.
const DELETED_AT_ONCE_S: i64 = 30 * 86_400;

/// Adds to the days. The primary key makes sure that there is one row for each counter and date.
const ADD: &str = "(date, series, wh, since, until, estimated) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (date, series) DO UPDATE SET wh = wh + excluded.wh, since = min(since, excluded.since),
        until = max(until, excluded.until), estimated = max(estimated, excluded.estimated)";

/// Adds a sample, or the second part of a slot that a restart has cut in two. A slot that is complete stays as it is, so a
/// clock that was set back counts nothing twice.
const SAMPLE: &str = "INSERT INTO sample VALUES
        ((SELECT id FROM gateway WHERE serial = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
    ON CONFLICT (gateway, start) DO UPDATE SET
        production_w = (production_w * seconds + excluded.production_w * excluded.seconds) / (seconds + excluded.seconds),
        consumption_w = (consumption_w * seconds + excluded.consumption_w * excluded.seconds) / (seconds + excluded.seconds),
        grid_w = (grid_w * seconds + excluded.grid_w * excluded.seconds) / (seconds + excluded.seconds),
        storage_w = (storage_w * seconds + excluded.storage_w * excluded.seconds) / (seconds + excluded.seconds),
        production_wh = production_wh + excluded.production_wh, consumption_wh = consumption_wh + excluded.consumption_wh,
        import_wh = import_wh + excluded.import_wh, export_wh = export_wh + excluded.export_wh,
        charged_wh = charged_wh + excluded.charged_wh, discharged_wh = discharged_wh + excluded.discharged_wh,
        soc_percent = coalesce(excluded.soc_percent, soc_percent), estimated = max(estimated, excluded.estimated),
        seconds = seconds + excluded.seconds
    WHERE seconds + excluded.seconds <= 300";

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    file: HistoryFile,
    open: Option<(Connection, Identity)>,
}

/// The outcome of an operation, and the path of a damaged file that was set aside meanwhile.
pub(super) type Outcome<T> = (Result<T, Error>, Option<PathBuf>);

impl Writer {
    /// Creates a writer, which opens the file when it is used.
    pub(super) const fn new(file: HistoryFile) -> Self {
        Self { file, open: None }
    }

    /// Returns the totals of `gateway`.
    pub(super) fn totals(&mut self, gateway: &Serial) -> Outcome<Vec<Counted>> {
        self.run(|connection| counted(connection, gateway))
    }

    /// Writes `batches` in one transaction.
    pub(super) fn write(&mut self, batches: &[Batch]) -> Outcome<()> {
        self.run(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for batch in batches {
                write(&transaction, batch)?;
            }
            Ok(transaction.commit()?)
        })
    }

    /// Closes the file, which then has no other files beside it.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Runs `work` on the open file. A damaged file is set aside, and `work` runs again on a new one.
    fn run<T>(&mut self, work: impl Fn(&mut Connection) -> Result<T, Error>) -> Outcome<T> {
        match self.run_once(&work) {
            Err(Error::Damaged(error)) => {
                self.open = None;
                match self.file.set_aside() {
                    Ok(aside) => (self.run_once(&work), Some(aside)),
                    Err(_failed) => (Err(Error::Damaged(error)), None),
                }
            }
            other => (other, None),
        }
    }

    fn run_once<T>(&mut self, work: impl Fn(&mut Connection) -> Result<T, Error>) -> Result<T, Error> {
        // The file may have been restored from a backup, or removed.
        if self.open.as_ref().is_some_and(|(_, identity)| self.file.identity().ok() != Some(*identity)) {
            self.open = None;
        }
        let (connection, _) = match &mut self.open {
            Some(open) => open,
            place => place.insert(self.file.open_for_writing()?),
        };
        let done = work(connection);
        if done.is_err() {
            // The cause may be the connection itself, e.g. after an error of the disk.
            self.open = None;
        }
        done
    }
}

fn write(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), Error> {
    let serial = batch.gateway.as_str();
    transaction.execute("INSERT INTO gateway (serial) VALUES (?1) ON CONFLICT DO NOTHING", [serial])?;
    let mut insert = transaction.prepare(SAMPLE)?;
    for Sample { start, seconds, power, energy, soc, estimated } in &batch.samples {
        let [production, consumption, grid, storage] = power.map(|power| power.map(Watts::whole));
        let [produced, consumed, import, export, charged, discharged] =
            energy.map(|energy| energy.map(WattHours::whole));
        let soc = soc.map(Percent::published);
        insert.execute(params![
            serial,
            start.as_second(),
            seconds,
            production,
            consumption,
            grid,
            storage,
            produced,
            consumed,
            import,
            export,
            charged,
            discharged,
            soc,
            estimated
        ])?;
    }
    let gateway = id_of_gateway(transaction, &batch.gateway)?.unwrap_or_default();
    let mut steps = Steps::prepare(transaction, gateway)?;
    for step in &batch.steps {
        steps.add(step)?;
    }
    if let Some(keep_from) = batch.keep_from {
        transaction.execute(
            "DELETE FROM sample WHERE gateway = ?1 AND start < ?2
             AND start < (SELECT min(start) FROM sample WHERE gateway = ?1) + ?3",
            params![gateway, keep_from.as_second(), DELETED_AT_ONCE_S],
        )?;
    }
    Ok(())
}

/// The statements that add steps of counters.
struct Steps<'a> {
    transaction: &'a Transaction<'a>,
    gateway: i64,
    find: rusqlite::Statement<'a>,
    advance: rusqlite::Statement<'a>,
    add_to_site: rusqlite::Statement<'a>,
    add_to_device: rusqlite::Statement<'a>,
}

impl<'a> Steps<'a> {
    fn prepare(transaction: &'a Transaction<'a>, gateway: i64) -> Result<Self, Error> {
        Ok(Self {
            transaction,
            gateway,
            find: transaction.prepare(
                "SELECT id, total_wh, counted_at FROM series WHERE gateway = ?1 AND kind = ?2 AND device = ?3 AND quantity = ?4",
            )?,
            advance: transaction.prepare("UPDATE series SET total_wh = ?2, counted_at = ?3 WHERE id = ?1")?,
            add_to_site: transaction.prepare(&format!("INSERT INTO site_day {ADD}"))?,
            add_to_device: transaction.prepare(&format!("INSERT INTO device_day {ADD}"))?,
        })
    }

    /// Adds a step, unless it has been added already: a commit may have succeeded although it was reported as failed.
    fn add(&mut self, step: &Step) -> Result<(), Error> {
        let Counted { series, total, at } = &step.to;
        let Series { kind, device, quantity } = series;
        let key = params![self.gateway, kind.name(), device, quantity.name()];
        let found = self.find.query_row(key, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        let known: Option<(i64, i64, i64)> = found;
        let (to, at) = (total.whole(), at.as_second());
        let id = match known {
            Some((_, stored, counted_at)) if stored == to && counted_at == at => return Ok(()),
            Some((id, ..)) => {
                self.advance.execute(params![id, to, at])?;
                id
            }
            None => {
                self.transaction.execute(
                    "INSERT INTO series (gateway, kind, device, quantity, total_wh, counted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![self.gateway, kind.name(), device, quantity.name(), to, at],
                )?;
                self.transaction.last_insert_rowid()
            }
        };
        let add = if *kind == Kind::Site { &mut self.add_to_site } else { &mut self.add_to_device };
        // The file was restored from a backup: what has been counted since then belongs to the first day.
        let mut missing = match (known, step.from) {
            (Some((_, stored, since)), Some(from)) if from.whole() > stored => {
                Some((from.whole() - stored, since))
            }
            _ => None,
        };
        for Growth { date, energy, since, until, estimated } in &step.growth {
            let (more, begin) = missing.take().unwrap_or((0, i64::MAX));
            let (energy, since) = (energy.whole() + more, since.as_second().min(begin));
            add.execute(params![date.to_string(), id, energy, since, until.as_second(), estimated])?;
        }
        Ok(())
    }
}
