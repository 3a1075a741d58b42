//! The schema of `history.db`, and its versions (docs/history.md describes both).

use rusqlite::{Connection, TransactionBehavior};

use super::Error;

/// The version of the schema, in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 1;

/// Identifies the file as a history of this program (`file(1)` shows it): `enph`.
const APPLICATION_ID: i64 = 0x656e_7068;

/// The steps from each version to the next. A step is never changed after a release; a new version adds one at the end.
const STEPS: [&str; 1] = [include_str!("schema.sql")];

/// Creates the tables, or brings those of an earlier version up to date, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let version = version(connection)?;
    if version == VERSION {
        return Ok(());
    }
    if version > VERSION {
        return Err(Error::Newer { version });
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let version = transaction.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or_default()) {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    ))?;
    transaction.commit()?;
    Ok(())
}

/// Returns the version of the schema, 0 for an empty file.
pub(super) fn version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}
