//! What an import did, or would do: every row is counted once, and every column that has no place here is named.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The whole report.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `scenes` or `elixir`.
    pub system: &'static str,
    /// The name under which the register keeps it.
    pub source: String,
    /// Which of the documented shapes the file has.
    pub generation: &'static str,
    /// Nothing was written.
    pub dry_run: bool,
    /// In the order in which they were read.
    pub tables: Vec<TableReport>,
}

/// What became of the rows of a table. `rows` is the sum of carried, already, beside, waiting and changed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TableReport {
    /// Its name in the older database.
    pub table: String,
    /// How many rows it has there.
    pub rows: u64,
    /// Have a row of ours from this run on.
    pub carried: u64,
    /// Were imported before.
    pub already: u64,
    /// Are kept in the register alone.
    pub beside: u64,
    /// Lack bytes that a later run may find.
    pub waiting: u64,
    /// Were imported before and have changed since, there or in the store: left as they were imported.
    pub changed: u64,
    /// Rows that the register has afterwards; none in a dry run.
    pub registered: Option<i64>,
    /// Files that were read.
    pub media: u64,
    /// Their bytes.
    pub media_bytes: u64,
    /// Why the table was not read, if it was not.
    pub skipped: Option<&'static str>,
    /// Why rows have no row of ours, and how many.
    pub reasons: BTreeMap<String, u64>,
    /// Columns that were not carried into a row of ours, why, and in how many rows they say something.
    pub columns: Vec<Column>,
}

/// A column that was not carried over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub column: String,
    /// One sentence.
    pub why: String,
    /// Rows in which it said something.
    pub rows: u64,
}

impl Report {
    /// Every row is where it should be: none waits, none has changed, none is missing.
    pub fn is_complete(&self) -> bool {
        let is_counted =
            |table: &TableReport| table.registered.is_none_or(|rows| rows.unsigned_abs() >= table.rows);
        self.tables.iter().all(|table| table.waiting == 0 && table.changed == 0 && is_counted(table))
    }

    /// The report of a table.
    pub fn table(&self, name: &str) -> Option<&TableReport> {
        self.tables.iter().find(|table| table.table == name)
    }
}

impl TableReport {
    pub(crate) fn column(&mut self, column: &str, why: &str) {
        match self.columns.iter_mut().find(|known| known.column == column && known.why == why) {
            Some(known) => known.rows += 1,
            None => self.columns.push(Column { column: column.to_owned(), why: why.to_owned(), rows: 1 }),
        }
    }

    pub(crate) fn reason(&mut self, why: &str) {
        *self.reasons.entry(why.to_owned()).or_default() += 1;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.dry_run { "would be " } else { "" };
        writeln!(f, "{} ({}), generation: {}", self.source, self.system, self.generation)?;
        writeln!(
            f,
            "\n  {:<18} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}",
            "table", "rows", "carried", "already", "beside", "waiting", "changed", "files", "MB"
        )?;
        for table in &self.tables {
            writeln!(
                f,
                "  {:<18} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9.1}",
                table.table,
                table.rows,
                table.carried,
                table.already,
                table.beside,
                table.waiting,
                table.changed,
                table.media,
                table.media_bytes as f64 / 1e6
            )?;
        }
        for table in &self.tables {
            if table.skipped.is_none() && table.reasons.is_empty() && table.columns.is_empty() {
                continue;
            }
            writeln!(f, "\n  {}", table.table)?;
            if let Some(why) = table.skipped {
                writeln!(f, "    not read: {why}")?;
            }
            for (why, rows) in &table.reasons {
                writeln!(f, "    {rows} rows {done}kept beside: {why}")?;
            }
            for column in &table.columns {
                writeln!(f, "    column {} ({} rows): {}", column.column, column.rows, column.why)?;
            }
        }
        Ok(())
    }
}
