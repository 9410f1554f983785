//! Predictions at a provider that bear our mark and that no row knows: what was done with them, and what they cost.

use crate::budgets;
use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use serde_json::Value;
use spool_job::money::Micros;
use spool_job::prediction::PredictionState;
use sqlx::PgConnection;
use uuid::Uuid;

/// A row that a mark names.
#[derive(Debug, Clone)]
pub struct Marked {
    /// Our prediction.
    pub id: Uuid,
    /// Its job.
    pub job_id: i64,
    /// Where it stands.
    pub state: PredictionState,
    /// What it is bound to.
    pub external_id: Option<String>,
    /// `owner/name`, as it was ordered.
    pub model: String,
    /// As it was ordered.
    pub input: Value,
    /// The queue task that looks after it.
    pub task_id: i64,
    /// Seconds since the intent was written.
    pub intent_for_s: f64,
}

macro_rules! marked {
    ($row:expr) => {{
        let row = $row;
        Ok(Marked {
            id: row.id,
            job_id: row.job_id,
            state: row.state.parse().map_err(|error| DbError::Unreadable {
                operation: DOING,
                what: format!("prediction {}: {error}", row.id),
            })?,
            external_id: row.external_id,
            model: row.model,
            input: row.input,
            task_id: row.task_id,
            intent_for_s: row.intent_for_s,
        })
    }};
}

const DOING: &str = "look up what the marks name";

/// The rows of these predictions.
pub async fn marked(conn: &mut PgConnection, provider: &str, ids: &[Uuid]) -> Result<Vec<Marked>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT id, job_id, state, external_id, model, input, task_id, extract(epoch FROM now() - intent_at)::float8 AS "intent_for_s!"
           FROM predictions WHERE provider = $1 AND id = ANY($2)"#,
        provider,
        ids
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    rows.into_iter().map(|row| marked!(row)).collect()
}

/// Rows of orders without media, made since, that are not bound: their only mark in a list is the seed that we added. At most
/// 1,000, newest first.
pub async fn seeded(
    conn: &mut PgConnection,
    provider: &str,
    since: DateTime<Utc>,
) -> Result<Vec<Marked>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT id, job_id, state, external_id, model, input, task_id, extract(epoch FROM now() - intent_at)::float8 AS "intent_for_s!"
           FROM predictions
           WHERE provider = $1 AND external_id IS NULL AND media = '{}' AND intent_at >= $2 AND state IN ('unknown', 'void', 'in_doubt')
           ORDER BY intent_at DESC LIMIT 1000"#,
        provider,
        since
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    rows.into_iter().map(|row| marked!(row)).collect()
}

/// An orphan as it was found.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// Whose account.
    pub provider: &'a str,
    /// The provider's id.
    pub external_id: &'a str,
    /// `owner/name`.
    pub model: &'a str,
    /// The prediction whose mark it bears.
    pub prediction_id: Uuid,
    /// Where that stood, if it has a row.
    pub row_state: Option<PredictionState>,
    /// It was given to its row; else it is called off.
    pub adopted: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Notes an orphan; says whether it is a new one.
pub async fn note(conn: &mut PgConnection, found: &Found<'_>) -> Result<bool, DbError> {
    let noted = sqlx::query!(
        "INSERT INTO orphans (provider, external_id, model, prediction_id, row_state, done, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        found.provider,
        found.external_id,
        found.model,
        found.prediction_id,
        found.row_state.map(PredictionState::as_str),
        if found.adopted { "adopted" } else { "canceled" },
        found.created_at,
    )
    .execute(conn)
    .await
    .doing("note an orphan")?;
    Ok(noted.rows_affected() == 1)
}

/// Notes an id that a message names for a prediction which is bound to another or given up: to be called off, unless a row has it. Says
/// whether it is a new one.
pub async fn late(conn: &mut PgConnection, prediction: Uuid, external_id: &str) -> Result<bool, DbError> {
    let noted = sqlx::query!(
        "INSERT INTO orphans (provider, external_id, model, prediction_id, row_state, done, created_at)
         SELECT p.provider, $2, p.model, p.id, p.state, 'canceled', now() FROM predictions p
         WHERE p.id = $1 AND p.external_id IS DISTINCT FROM $2
           AND NOT EXISTS (SELECT FROM predictions o WHERE o.provider = p.provider AND o.external_id = $2)
         ON CONFLICT DO NOTHING",
        prediction,
        external_id,
    )
    .execute(conn)
    .await
    .doing("note an orphan")?;
    Ok(noted.rows_affected() == 1)
}

/// Orphans that are called off and not known to have ended, longest known first: the provider's id and the model of each. What a row
/// was bound to meanwhile is none.
pub async fn open(
    conn: &mut PgConnection,
    provider: &str,
    most: i64,
) -> Result<Vec<(String, String)>, DbError> {
    let rows = sqlx::query!(
        "SELECT external_id, model FROM orphans o WHERE provider = $1 AND done = 'canceled' AND ended_at IS NULL
           AND NOT EXISTS (SELECT FROM predictions p WHERE p.provider = o.provider AND p.external_id = o.external_id)
         ORDER BY found_at LIMIT $2",
        provider,
        most
    )
    .fetch_all(conn)
    .await
    .doing("list the open orphans")?;
    Ok(rows.into_iter().map(|row| (row.external_id, row.model)).collect())
}

/// An orphan has ended; `cost` is none when nobody can say. It counts in the budgets for everything, of the period in which its end
/// was seen, and may pass their limits: it is spent already. Says whether that is new.
pub async fn ended(
    conn: &mut PgConnection,
    provider: &str,
    external_id: &str,
    state: PredictionState,
    cost: Option<Micros>,
) -> Result<bool, DbError> {
    let ended = sqlx::query!(
        "UPDATE orphans SET state = $3, cost_micros = $4, ended_at = now()
         WHERE provider = $1 AND external_id = $2 AND ended_at IS NULL",
        provider,
        external_id,
        state.as_str(),
        cost.map(|cost| cost.0),
    )
    .execute(&mut *conn)
    .await
    .doing("end an orphan")?;
    if ended.rows_affected() == 0 {
        return Ok(false);
    }
    if let Some(cost) = cost.filter(|cost| cost.0 > 0) {
        budgets::bill(conn, cost).await?;
    }
    Ok(true)
}

/// An orphan as operators see it.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// Whose account.
    pub provider: String,
    /// The provider's id.
    pub external_id: String,
    /// `owner/name`.
    pub model: String,
    /// The prediction whose mark it bears.
    pub prediction_id: Uuid,
    /// Where that stood when it was found, if it had a row.
    pub row_state: Option<String>,
    /// `adopted` or `canceled`.
    pub done: String,
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// How it ended, once it has.
    pub state: Option<String>,
    /// What it cost beside the ledger.
    pub cost: Option<Micros>,
}

/// Orphans, newest first.
pub async fn list(conn: &mut PgConnection, (limit, offset): (i64, i64)) -> Result<Vec<Orphan>, DbError> {
    let rows = sqlx::query!(
        "SELECT provider, external_id, model, prediction_id, row_state, done, found_at, state, cost_micros
         FROM orphans ORDER BY found_at DESC, external_id LIMIT $1 OFFSET $2",
        limit,
        offset
    )
    .fetch_all(conn)
    .await
    .doing("list the orphans")?;
    let orphan = rows.into_iter().map(|row| Orphan {
        provider: row.provider,
        external_id: row.external_id,
        model: row.model,
        prediction_id: row.prediction_id,
        row_state: row.row_state,
        done: row.done,
        found_at: row.found_at,
        state: row.state,
        cost: row.cost_micros.map(Micros),
    });
    Ok(orphan.collect())
}

/// How many orphans there have been and what those that were called off cost all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Given to their rows.
    pub adopted: i64,
    /// Called off.
    pub canceled: i64,
    /// What the latter cost.
    pub cost: Micros,
}

/// Counts all orphans ever.
pub async fn totals(conn: &mut PgConnection) -> Result<Totals, DbError> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE done = 'adopted') AS "adopted!", count(*) FILTER (WHERE done = 'canceled') AS "canceled!",
                  COALESCE(sum(cost_micros), 0)::bigint AS "cost!" FROM orphans"#
    )
    .fetch_one(conn)
    .await
    .doing("count the orphans")?;
    Ok(Totals { adopted: row.adopted, canceled: row.canceled, cost: Micros(row.cost) })
}
