//! One row for the whole fleet: who looks when, where the next look goes on, and what was found.

use super::Base;
use crate::error::{DbError, Doing};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The rows that broke each invariant. One that was looked at and holds has none.
pub type Found = BTreeMap<String, Vec<String>>;

/// Where the next round goes on; none: from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Behind this task.
    pub task: Option<i64>,
    /// Behind this purchase.
    pub purchase: Option<Uuid>,
}

/// What the last round left.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Seconds since it began; infinite when there was none.
    pub age_s: f64,
    pub found: Found,
    pub place: Place,
    pub bases: Vec<Base>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { age_s: f64::INFINITY, found: Found::new(), place: Place::default(), bases: Vec::new() }
    }
}

/// Reads it.
pub async fn kept(conn: &mut PgConnection) -> Result<Kept, DbError> {
    let row = sqlx::query!(
        r#"SELECT COALESCE(extract(epoch FROM clock_timestamp() - nullif(at, '-infinity')), 'infinity')::float8 AS "age_s!",
                  found, place, bases
           FROM invariants"#
    )
    .fetch_optional(conn)
    .await
    .doing("read what was found of the invariants")?;
    // What another build has written may look different: then this one begins anew.
    Ok(row.map_or_else(Kept::default, |row| Kept {
        age_s: row.age_s,
        found: serde_json::from_value(row.found).unwrap_or_default(),
        place: serde_json::from_value(row.place).unwrap_or_default(),
        bases: serde_json::from_value(row.bases).unwrap_or_default(),
    }))
}

/// Takes the next round, if the last one is older than this and nobody else is at it. The row stays locked until the end of the
/// transaction, in which no statement may take longer than two seconds from here on.
pub async fn claim(conn: &mut PgConnection, older_than_s: f64) -> Result<bool, DbError> {
    let mine = sqlx::query_scalar!(
        r#"SELECT set_config('statement_timeout', '2s', true) FROM
               (SELECT single FROM invariants WHERE at < clock_timestamp() - make_interval(secs => $1) FOR UPDATE SKIP LOCKED) mine"#,
        older_than_s
    )
    .fetch_optional(conn)
    .await
    .doing("take a look at the invariants")?;
    Ok(mine.is_some())
}

/// Leaves a round for the others. The caller has claimed it.
pub async fn keep(conn: &mut PgConnection, kept: &Kept, cost_s: f64) -> Result<(), DbError> {
    // Bases change once an hour; they are written only then.
    sqlx::query!(
        "UPDATE invariants SET at = now(), cost_ms = $1, found = $2, place = $3, bases = CASE WHEN bases = $4 THEN bases ELSE $4 END",
        cost_s * 1000.0,
        Json(&kept.found) as _,
        Json(&kept.place) as _,
        Json(&kept.bases) as _,
    )
    .execute(conn)
    .await
    .doing("keep what was found of the invariants")?;
    Ok(())
}
