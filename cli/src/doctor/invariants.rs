//! What must always hold of tasks, jobs and money. The same is looked at once a minute by the API and shown as metrics.

use spool_explain::invariants::{self, ALL};
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

/// Rows that are named of each.
const EXAMPLES: usize = 5;

pub(super) async fn look(conn: &mut PgConnection, quick: bool) -> Findings {
    let broken = invariants::everything(conn, quick).await?;
    let found = ALL.iter().filter_map(|one| {
        let rows = broken.get(one.name)?;
        let more = if rows.len() > EXAMPLES { ", …" } else { "" };
        let examples = rows.iter().take(EXAMPLES).map(String::as_str).collect::<Vec<_>>().join(", ");
        let what =
            format!("{} ({}): {}: {examples}{more}", one.name, one.about, said(rows.len(), one.broken));
        Some(Finding::error(what, one.todo))
    });
    Ok(or_ok(found.collect(), || {
        let left_out = if quick { ", purchases that are over left out" } else { "" };
        format!("all {} hold{left_out}", ALL.len())
    }))
}

fn said(rows: usize, broken: &str) -> String {
    let many = if rows >= spool_db::invariants::MOST as usize { "or more " } else { "" };
    format!("{rows} {many}{broken}")
}
