//! Predictions for operators: lists of them, and their word on one that is in doubt.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use spool_job::money::Micros;
use spool_job::prediction::PredictionState;
use sqlx::PgConnection;
use uuid::Uuid;

/// A prediction as operators see it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Our id.
    pub id: Uuid,
    /// The job.
    pub job_id: i64,
    /// What for.
    pub purpose: String,
    /// The scene, for clips.
    pub scene_id: Option<Uuid>,
    /// The stretch, for music.
    pub ordinal: i32,
    /// Which try.
    pub attempt: i32,
    /// Who runs the model.
    pub provider: String,
    /// `owner/name`.
    pub model: String,
    /// Where it stands.
    pub state: String,
    /// The provider's id.
    pub external_id: Option<String>,
    /// What is held for it, or was.
    pub estimate: Micros,
    /// What it cost, once that is known.
    pub cost: Option<Micros>,
    /// Why it is unknown, or failed.
    pub error: Option<String>,
    /// The earlier purchase whose output it uses.
    pub reused_from: Option<Uuid>,
    /// What an operator says it is called at the provider, not checked yet.
    pub claimed_external_id: Option<String>,
    /// When it was to be bought.
    pub intent_at: DateTime<Utc>,
    /// Since when nobody knows whether it was.
    pub unknown_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Predictions in a state (or all), oldest first, and how many there are.
pub async fn list(
    conn: &mut PgConnection,
    state: Option<PredictionState>,
    (limit, offset): (i64, i64),
) -> Result<(Vec<Listed>, i64), DbError> {
    const DOING: &str = "list predictions";
    let state = state.map(PredictionState::as_str);
    let rows = sqlx::query!(
        "SELECT id, job_id, purpose, scene_id, ordinal, attempt, provider, model, state, external_id, estimate_micros, cost_micros,
                error, reused_from, claimed_external_id, intent_at, unknown_at, finished_at
         FROM predictions WHERE $1::text IS NULL OR state = $1 ORDER BY intent_at, id LIMIT $2 OFFSET $3",
        state,
        limit,
        offset
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) AS "total!" FROM predictions WHERE $1::text IS NULL OR state = $1"#,
        state
    )
    .fetch_one(conn)
    .await
    .doing(DOING)?;
    let listed = rows.into_iter().map(|row| Listed {
        id: row.id,
        job_id: row.job_id,
        purpose: row.purpose,
        scene_id: row.scene_id,
        ordinal: row.ordinal,
        attempt: row.attempt,
        provider: row.provider,
        model: row.model,
        state: row.state,
        external_id: row.external_id,
        estimate: Micros(row.estimate_micros),
        cost: row.cost_micros.map(Micros),
        error: row.error,
        reused_from: row.reused_from,
        claimed_external_id: row.claimed_external_id,
        intent_at: row.intent_at,
        unknown_at: row.unknown_at,
        finished_at: row.finished_at,
    });
    Ok((listed.collect(), total))
}

/// What an operator says about a prediction in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<'a> {
    /// It was created, and the provider calls it this. A worker asks the provider before it is believed.
    Submitted(&'a str),
    /// It was never created.
    Void,
}

/// Whether a provider could call a prediction this. It becomes part of an address.
pub fn is_external_id(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What an operator's word did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It is void: its money is free, and another may be bought.
    Void {
        /// The queue task to wake.
        task_id: i64,
    },
    /// The task that looks after it checks the claim.
    Claimed {
        /// The queue task to wake.
        task_id: i64,
    },
    /// It is not in doubt.
    NotInDoubt(PredictionState),
    /// There is no such prediction.
    Unknown,
}

/// The job of a prediction.
pub async fn job_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<i64>, DbError> {
    sqlx::query_scalar!("SELECT job_id FROM predictions WHERE id = $1", id)
        .fetch_optional(conn)
        .await
        .doing("find the job of a prediction")
}

/// Takes an operator's word on a prediction in doubt. The caller has locked its job.
pub async fn resolve(
    conn: &mut PgConnection,
    id: Uuid,
    word: &Word<'_>,
    by: &str,
) -> Result<Resolution, DbError> {
    const DOING: &str = "resolve a prediction in doubt";
    let Some(row) = sqlx::query!("SELECT state, task_id FROM predictions WHERE id = $1 FOR UPDATE", id)
        .fetch_optional(&mut *conn)
        .await
        .doing(DOING)?
    else {
        return Ok(Resolution::Unknown);
    };
    let state: PredictionState = row.state.parse().map_err(|error| DbError::Unreadable {
        operation: DOING,
        what: format!("prediction {id}: {error}"),
    })?;
    if state != PredictionState::InDoubt {
        return Ok(Resolution::NotInDoubt(state));
    }
    Ok(match word {
        Word::Void => {
            super::void(conn, id).await?;
            Resolution::Void { task_id: row.task_id }
        }
        Word::Submitted(external_id) => {
            sqlx::query!(
                "UPDATE predictions SET claimed_external_id = $2, claimed_by = $3 WHERE id = $1",
                id,
                external_id,
                by
            )
            .execute(conn)
            .await
            .doing(DOING)?;
            Resolution::Claimed { task_id: row.task_id }
        }
    })
}

/// What an operator says a prediction in doubt is called at the provider, and who says so.
pub async fn claim(conn: &mut PgConnection, id: Uuid) -> Result<Option<(String, String)>, DbError> {
    let row = sqlx::query!(
        "SELECT claimed_external_id, claimed_by FROM predictions WHERE id = $1 AND state = 'in_doubt'",
        id
    )
    .fetch_optional(conn)
    .await
    .doing("read an operator's claim")?;
    Ok(row.and_then(|row| row.claimed_external_id.zip(row.claimed_by)))
}

/// The claim was checked: it is not kept any longer.
pub async fn claim_checked(conn: &mut PgConnection, id: Uuid) -> Result<(), DbError> {
    sqlx::query!("UPDATE predictions SET claimed_external_id = NULL, claimed_by = NULL WHERE id = $1", id)
        .execute(conn)
        .await
        .doing("drop an operator's claim")?;
    Ok(())
}
