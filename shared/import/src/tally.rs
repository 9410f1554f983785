//! Counts what became of rows, and which of their columns went nowhere.

use crate::batch::{Item, Registration};
use crate::map::Target;
use crate::report::TableReport;
use crate::source::row::{Row, is_secret, shown};
use spool_db::import::register::Fate;
use std::collections::BTreeMap;

const KEPT: &str = "no place in our row: kept in the register";
const BESIDE: &str = "its row is kept in the register";
const WAITS: &str = "its row waits";
const SECRET: &str = "a secret, of no use here: not carried over at all";

/// The reports of the tables, while they grow.
#[derive(Default)]
pub(crate) struct Tally {
    tables: BTreeMap<String, TableReport>,
}

impl Tally {
    pub(crate) fn table(&mut self, table: &str) -> &mut TableReport {
        let new = || TableReport { table: table.to_owned(), ..TableReport::default() };
        self.tables.entry(table.to_owned()).or_insert_with(new)
    }

    pub(crate) fn take(&mut self, table: &str) -> Option<TableReport> {
        self.tables.remove(table)
    }

    /// A row and those that went into it.
    pub(crate) fn count(&mut self, item: &Item, fate: &Fate) {
        let report = self.table(&item.row.table);
        let why = became(report, fate);
        report.media += item.media.len() as u64;
        report.media_bytes += item.media.values().map(|held| held.bytes).sum::<u64>();
        for column in item.mapped.document.keys() {
            report.column(column, why);
        }
        for (column, _) in
            item.row.cells.iter().filter(|(column, cell)| is_secret(column) && shown(cell).is_some())
        {
            report.column(column, SECRET);
        }
        for part in &item.parts {
            self.count_part(part);
        }
    }

    fn count_part(&mut self, part: &Registration) {
        let report = self.table(&part.table);
        let why = became(report, &part.fate);
        report.media += part.media.len() as u64;
        report.media_bytes += part.media.values().map(|held| held.bytes).sum::<u64>();
        for column in part.document.keys() {
            report.column(column, why);
        }
    }
}

/// Counts the row, and says why its columns are where they are.
fn became(report: &mut TableReport, fate: &Fate) -> &'static str {
    match fate {
        Fate::Carried { .. } => {
            report.carried += 1;
            KEPT
        }
        Fate::Beside { why } => {
            report.beside += 1;
            report.reason(why);
            BESIDE
        }
        Fate::Waiting { why } => {
            report.waiting += 1;
            report.reason(why);
            WAITS
        }
    }
}

/// What becomes of a row if nothing is in its way.
pub(crate) fn would_be(target: &Target, row: &Row) -> Fate {
    let carried = |target, id: String| Fate::Carried { target, id };
    match target {
        Target::Beside(why) => Fate::Beside { why: why.clone() },
        Target::Waiting(why) => Fate::Waiting { why: why.clone() },
        Target::Client(id, ..) => carried("clients", id.to_string()),
        Target::Campaign(id, ..) => carried("campaigns", id.to_string()),
        Target::Asset(id, ..) => carried("assets", id.to_string()),
        Target::Brief(id, ..) => carried("briefs", id.to_string()),
        Target::Job { .. } => carried("jobs", row.id.clone()),
    }
}
