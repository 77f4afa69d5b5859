//! Sources that tell changes: which batches are of one server or database, and up to which moment or key they tell.
//!
//! A whole export and the exports of changes after it are a chain: batches whose sources have one address and one
//! collection. Beside the warehouse stands, for each batch of a chain, up to which moment it tells and by which rules it
//! was read. Of a database the moment is the greatest key of each table, as JSON. A rolled-back batch is in no epoch, and
//! then its moment counts no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use caim_warehouse::rusqlite::params;
use caim_warehouse::{Batch, BatchId, Epoch, State, Warehouse};
use chrono::{DateTime, FixedOffset, NaiveDate};

use crate::{Code, Error, Format, Result};

const SCHEMA: &[&str] = &["CREATE TABLE exported (
    batch INTEGER PRIMARY KEY, moment TEXT NOT NULL, rules TEXT NOT NULL) STRICT;"];

/// From which moment on a source tells what has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// The moment up to which the last export of the same address told.
    Last,
    /// An instant of RFC 3339.
    Time(String),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        if text == "last" {
            return Ok(Self::Last);
        }
        if text.parse::<NaiveDate>().is_ok() {
            return Ok(Self::Time(format!("{text}T00:00:00Z")));
        }
        match instant(text) {
            Some(_) => Ok(Self::Time(text.to_owned())),
            None => {
                Err(format!("`{text}` is no moment: write last, 2026-01-31 or 2026-01-31T08:00:00+01:00"))
            }
        }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Last => "last",
            Self::Time(time) => time,
        })
    }
}

/// What an export says of itself besides its files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exported {
    /// It holds what has changed since then; all, where it is `None`.
    pub(crate) since: Option<String>,
    /// Up to which moment it tells, if the server says that in a form that can be asked for.
    pub(crate) moment: Option<String>,
    /// Type and id of resources that are gone.
    pub(crate) deleted: Vec<(String, String)>,
    /// The tables of which it has all rows, where it has changes of others.
    pub(crate) whole: Vec<String>,
}

/// The greatest key of each table.
pub(crate) type Keys = BTreeMap<String, i64>;

/// The batches of one epoch as chains.
pub(crate) struct Chains<'c> {
    pub(crate) warehouse: &'c Warehouse,
    pub(crate) epoch: &'c Epoch,
    /// By which rules a format is read now.
    pub(crate) rules: &'c dyn Fn(Format) -> Result<String>,
}

impl Chains<'_> {
    /// The moment from which on changes are to be asked for at the source that a whole export has as `identity`.
    ///
    /// # Errors
    /// When there was no whole export, it was read by other rules, or tells less than up to the wanted moment: then
    /// changes alone would leave something out.
    pub(crate) fn since(&self, wanted: &Since, identity: &str, place: &str) -> Result<String> {
        let fault = |reason: String| Error::new(Code::Since, place, reason);
        let mut last: Option<(DateTime<FixedOffset>, String)> = None;
        for (_, moment) in self.moments(Format::Fhir, identity, place)? {
            let Some(at) = instant(&moment) else { continue };
            if last.as_ref().is_none_or(|(before, _)| at > *before) {
                last = Some((at, moment));
            }
        }
        let (at, last) = last.ok_or_else(|| {
            fault("no whole export of it was taken in that says up to when it tells".into())
        })?;
        match wanted {
            Since::Last => Ok(last),
            Since::Time(time) if instant(time).is_some_and(|time| time <= at) => Ok(time.clone()),
            Since::Time(_) => Err(fault(format!(
                "the last export tells up to {last}: what changed after it would be left out"
            ))),
        }
    }

    /// The greatest keys that the batches of a database tell, and the last of these batches.
    ///
    /// # Errors
    /// When none was taken in, or it was read by other rules.
    pub(crate) fn keys(&self, identity: &str, place: &str) -> Result<(BatchId, Keys)> {
        let mut found: Option<(BatchId, Keys)> = None;
        for (batch, moment) in self.moments(Format::Omop, identity, place)? {
            let Ok(keys) = serde_json::from_str::<Keys>(&moment) else { continue };
            let (last, greatest) = found.get_or_insert((batch, Keys::new()));
            *last = batch.max(*last);
            for (table, key) in keys {
                let known = greatest.entry(table).or_insert(key);
                *known = key.max(*known);
            }
        }
        let none =
            || Error::new(Code::Since, place, "it was not taken in as a whole, with its greatest keys noted");
        found.ok_or_else(none)
    }

    /// Up to when each batch of a chain tells.
    fn moments(&self, format: Format, identity: &str, place: &str) -> Result<Vec<(BatchId, String)>> {
        let (now, mut moments) = ((self.rules)(format)?, Vec::new());
        for batch in chain(self.epoch, identity) {
            let Some((moment, rules)) = noted(self.warehouse, batch.id)? else { continue };
            if rules != now {
                let reason = format!("the rules by which batch {} was read have changed since", batch.id);
                return Err(Error::new(Code::Since, place, reason));
            }
            moments.push((batch.id, moment));
        }
        Ok(moments)
    }
}

/// The batches of a source that a whole export has as `identity`, with the exports of changes after it.
pub(crate) fn chain<'e>(epoch: &'e Epoch, identity: &str) -> impl Iterator<Item = &'e Batch> {
    let (identity, of_changes) = (identity.to_owned(), beginning(identity));
    epoch
        .batches()
        .iter()
        .filter(move |batch| batch.source == identity || batch.source.starts_with(&of_changes))
}

/// The same by number.
pub(crate) fn numbers(epoch: &Epoch, identity: &str) -> BTreeSet<BatchId> {
    chain(epoch, identity).map(|batch| batch.id).collect()
}

/// The identity of an export of changes: that of the whole one, and the moment.
pub(crate) fn identity(whole: &str, since: &str) -> String {
    format!("{}{}]", beginning(whole), serde_json::json!({ "since": since }))
}

/// A JSON array that goes on.
fn beginning(whole: &str) -> String {
    format!("{},", whole.strip_suffix(']').unwrap_or(whole))
}

/// Notes up to which moment a batch tells, before it is published. What was noted for a commit of this number that came
/// to nothing goes.
pub(crate) fn note(
    warehouse: &Warehouse,
    batch: BatchId,
    exported: Option<&Exported>,
    rules: &str,
) -> Result<()> {
    let moment = exported.and_then(|exported| exported.moment.as_deref());
    prepared(warehouse)?.write(|transaction| {
        transaction.execute("DELETE FROM exported WHERE batch = ?1", params![batch.0.cast_signed()])?;
        if let Some(moment) = moment {
            let sql = "INSERT INTO exported VALUES (?1, ?2, ?3)";
            transaction.execute(sql, params![batch.0.cast_signed(), moment, rules])?;
        }
        Ok::<_, caim_warehouse::Error>(())
    })?;
    Ok(())
}

fn noted(warehouse: &Warehouse, batch: BatchId) -> Result<Option<(String, String)>> {
    use caim_warehouse::rusqlite::OptionalExtension;
    let found = prepared(warehouse)?.read(|connection| {
        let sql = "SELECT moment, rules FROM exported WHERE batch = ?1";
        let row = |row: &caim_warehouse::rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok::<_, caim_warehouse::Error>(
            connection.query_row(sql, params![batch.0.cast_signed()], row).optional()?,
        )
    })?;
    Ok(found)
}

fn prepared(warehouse: &Warehouse) -> Result<&State> {
    warehouse.state().migrate("exported", SCHEMA)?;
    Ok(warehouse.state())
}

/// An instant, with its zone.
pub(crate) fn instant(text: &str) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_last_a_day_or_an_instant() {
        assert_eq!("last".parse(), Ok(Since::Last));
        assert_eq!("2026-01-31".parse(), Ok(Since::Time("2026-01-31T00:00:00Z".into())));
        let instant = "2026-01-31T08:00:00.5+01:00";
        assert_eq!(instant.parse(), Ok(Since::Time(instant.into())));
        for text in ["", "yesterday", "2026-13-01", "2026-01-31T08:00:00"] {
            assert!(text.parse::<Since>().unwrap_err().contains("is no moment"), "{text}");
        }
    }

    #[test]
    fn an_export_of_changes_is_told_by_its_whole_one_and_the_moment() {
        let whole = r#"["https://h/$export","fhir",["id","c"]]"#;
        let changes = identity(whole, "2026-01-01T00:00:00Z");
        assert_eq!(changes, r#"["https://h/$export","fhir",["id","c"],{"since":"2026-01-01T00:00:00Z"}]"#);
        assert!(changes.starts_with(&beginning(whole)));
    }
}
