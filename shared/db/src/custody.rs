//! Outputs that are paid for and still at the provider, which deletes them after an hour.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use spool_job::money::Micros;
use sqlx::PgConnection;
use uuid::Uuid;

/// Notes when the provider will delete the output of a prediction that has just succeeded. `completed_at` is the provider's word;
/// its clock may be ahead of ours.
pub async fn left(
    conn: &mut PgConnection,
    prediction: Uuid,
    completed_at: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE predictions SET output_gone_at = LEAST(COALESCE($2, now()), now()) + interval '1 hour' WHERE id = $1",
        prediction,
        completed_at,
    )
    .execute(conn)
    .await
    .doing("note when an output will be gone")?;
    Ok(())
}

/// When the output of a prediction was left at the provider: what `collect` is ordered by.
pub async fn left_at(conn: &mut PgConnection, prediction: Uuid) -> Result<Option<DateTime<Utc>>, DbError> {
    let at = sqlx::query_scalar!(
        "SELECT output_gone_at - interval '1 hour' FROM predictions WHERE id = $1",
        prediction
    )
    .fetch_optional(conn)
    .await
    .doing("read when an output was left")?;
    Ok(at.flatten())
}

/// The provider has deleted it, and it is not stored: paid, but lost.
pub async fn lost(conn: &mut PgConnection, prediction: Uuid) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE predictions SET output_lost_at = now()
         WHERE id = $1 AND state = 'succeeded' AND output_digest IS NULL AND output_lost_at IS NULL",
        prediction
    )
    .execute(conn)
    .await
    .doing("note a lost output")?;
    Ok(())
}

/// How the fleet stands with what it has to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Standing {
    /// Outputs that are to be fetched.
    pub waiting: i64,
    /// Seconds that are left to fetch the one that will be deleted first; below zero when its time is over.
    pub tightest_s: Option<f64>,
    /// Outputs that were paid for and are lost.
    pub lost: i64,
    /// What those had cost.
    pub lost_cost: Micros,
}

/// Counts them all. An output whose time has been over for ten minutes counts as lost, whatever its task says.
pub async fn standing(conn: &mut PgConnection) -> Result<Standing, DbError> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE NOT lost) AS "waiting!",
                  extract(epoch FROM min(gone_at) FILTER (WHERE NOT lost) - now())::float8 AS tightest_s,
                  count(*) FILTER (WHERE lost) AS "lost!",
                  COALESCE(sum(cost_micros) FILTER (WHERE lost), 0)::bigint AS "lost_cost!"
           FROM (SELECT output_gone_at AS gone_at, cost_micros,
                        output_lost_at IS NOT NULL OR output_gone_at < now() - interval '10 minutes' AS lost
                 FROM predictions WHERE state = 'succeeded' AND output_digest IS NULL) o"#
    )
    .fetch_one(conn)
    .await
    .doing("count the outputs to be fetched")?;
    Ok(Standing {
        waiting: row.waiting,
        tightest_s: row.tightest_s,
        lost: row.lost,
        lost_cost: Micros(row.lost_cost),
    })
}

/// An output that is not stored.
#[derive(Debug, Clone)]
pub struct Output {
    /// Whose output.
    pub prediction_id: Uuid,
    /// For which job.
    pub job_id: i64,
    /// `owner/name`.
    pub model: String,
    /// The provider's id.
    pub external_id: Option<String>,
    /// What it cost.
    pub cost: Micros,
    /// When the provider deletes it.
    pub gone_at: Option<DateTime<Utc>>,
    /// It is lost.
    pub lost: bool,
}

/// The outputs that are not stored, least time first.
pub async fn list(conn: &mut PgConnection, (limit, offset): (i64, i64)) -> Result<Vec<Output>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT id, job_id, model, external_id, COALESCE(cost_micros, 0) AS "cost!", output_gone_at,
                  COALESCE(output_lost_at IS NOT NULL OR output_gone_at < now() - interval '10 minutes', false) AS "lost!"
           FROM predictions WHERE state = 'succeeded' AND output_digest IS NULL
           ORDER BY output_gone_at, id LIMIT $1 OFFSET $2"#,
        limit,
        offset
    )
    .fetch_all(conn)
    .await
    .doing("list the outputs to be fetched")?;
    let output = rows.into_iter().map(|row| Output {
        prediction_id: row.id,
        job_id: row.job_id,
        model: row.model,
        external_id: row.external_id,
        cost: Micros(row.cost),
        gone_at: row.output_gone_at,
        lost: row.lost,
    });
    Ok(output.collect())
}
