//! Each purchase has held its price in the ledger; once it is over it has settled what it cost, or released all of it.

use super::{Broken, MOST};
use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use uuid::Uuid;

/// Purchases under way that are looked at, oldest first.
const MOST_OPEN: i64 = 20_000;
/// What was booked so recently is looked at with each round.
const RECENT_S: f64 = 600.0;

/// Those under way.
pub async fn open(conn: &mut PgConnection) -> Result<Vec<Broken>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM predictions WHERE state IN ('intent', 'submitted', 'unknown', 'in_doubt') ORDER BY intent_at LIMIT $1",
        MOST_OPEN
    )
    .fetch_all(&mut *conn)
    .await
    .doing("list the open purchases")?;
    again(conn, &ids).await
}

/// Those of which something was booked in the last minutes.
pub async fn recent(conn: &mut PgConnection) -> Result<Vec<Broken>, DbError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT DISTINCT prediction_id FROM (
               SELECT prediction_id FROM ledger WHERE at > now() - make_interval(secs => $1) ORDER BY at DESC LIMIT $2) booked"#,
        RECENT_S,
        MOST_OPEN
    )
    .fetch_all(&mut *conn)
    .await
    .doing("list what was booked last")?;
    again(conn, &ids).await
}

/// A part of all purchases there ever were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Those that are not as they must be.
    pub broken: Vec<Broken>,
    /// The last that was looked at; none when there is nothing behind it.
    pub last: Option<Uuid>,
}

/// Looks at `most` purchases behind `after`, in the order of their ids, which is about that of time.
pub async fn slice(conn: &mut PgConnection, after: Option<Uuid>, most: i64) -> Result<Slice, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM predictions WHERE id > $1 ORDER BY id LIMIT $2",
        after.unwrap_or_default(),
        most
    )
    .fetch_all(&mut *conn)
    .await
    .doing("list a part of the purchases")?;
    let last = ids.last().copied().filter(|_| ids.len() as i64 >= most);
    Ok(Slice { broken: again(conn, &ids).await?, last })
}

/// What is wrong with these, each seen at one moment together with its rows in the ledger.
pub async fn again(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Broken>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // What an import brought (no task of ours bought it) was settled without being held, and what was used again cost nothing.
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", verdict AS "verdict!" FROM (
               SELECT p.id, CASE
                   WHEN p.task_id = 0 THEN CASE
                       WHEN l.reserved IS NOT NULL OR l.released IS NOT NULL OR l.settled IS DISTINCT FROM nullif(p.cost_micros, 0) THEN 'ledger_amount' END
                   WHEN p.reused_from IS NOT NULL THEN CASE
                       WHEN num_nonnulls(l.reserved, l.settled, l.released) > 0 THEN 'ledger_amount' END
                   WHEN l.reserved IS DISTINCT FROM p.estimate_micros AND p.state IN ('intent', 'submitted', 'unknown', 'in_doubt') THEN 'ledger_open'
                   WHEN p.state IN ('intent', 'submitted', 'unknown', 'in_doubt') THEN CASE
                       WHEN num_nonnulls(l.settled, l.released) > 0 THEN 'ledger_open' END
                   WHEN num_nonnulls(l.settled, l.released) = 0 THEN 'ledger_closed'
                   WHEN l.reserved IS DISTINCT FROM p.estimate_micros
                     OR l.settled IS DISTINCT FROM nullif(p.cost_micros, 0)
                     OR l.released IS DISTINCT FROM CASE WHEN coalesce(p.cost_micros, 0) = 0 THEN p.estimate_micros END THEN 'ledger_amount'
               END AS verdict
               FROM unnest($1::uuid[]) AS wanted (id) JOIN predictions p ON p.id = wanted.id
               CROSS JOIN LATERAL (
                   SELECT sum(micros) FILTER (WHERE kind = 'reserve') AS reserved, sum(micros) FILTER (WHERE kind = 'settle') AS settled,
                          sum(micros) FILTER (WHERE kind = 'release') AS released
                   FROM ledger WHERE prediction_id = p.id) l) judged
           WHERE verdict IS NOT NULL LIMIT $2"#,
        ids,
        MOST
    )
    .fetch_all(conn)
    .await
    .doing("compare purchases with the ledger")?;
    Ok(rows
        .into_iter()
        .map(|row| Broken { invariant: name(&row.verdict), subject: row.id.to_string() })
        .collect())
}

fn name(verdict: &str) -> &'static str {
    ["ledger_open", "ledger_closed"].into_iter().find(|name| *name == verdict).unwrap_or("ledger_amount")
}
