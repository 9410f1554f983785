//! What the older systems bought: so that a clip that is here is not bought again, and that reports count what it cost.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use serde_json::Value;
use spool_job::canonical;
use spool_job::money::Micros;
use sqlx::PgConnection;
use uuid::Uuid;

/// A paid call of an older system that has ended.
#[derive(Debug, Clone)]
pub struct OldPurchase {
    /// The scene it was for; none: for the job as a whole.
    pub scene_id: Option<Uuid>,
    /// `owner/name`, or whatever the older system called it.
    pub model: String,
    /// What was sent, where it was kept.
    pub input: Value,
    /// The provider's id, or one of ours where it was not kept.
    pub external_id: String,
    /// Where the provider left the output.
    pub output_url: Option<String>,
    /// What came of it; none: it failed.
    pub output_digest: Option<String>,
    /// Seconds that were produced, where that is known.
    pub seconds: Option<f64>,
    /// What it was thought to cost.
    pub estimate: Micros,
    /// What the older system says it cost; zero where it says nothing.
    pub cost: Micros,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was sent.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Writes the prediction under `id` and, where it cost something, the ledger. Budgets are left alone: the money was spent before they
/// were. Says whether it did: a provider's id that is here already belongs to somebody else.
pub async fn purchase(
    conn: &mut PgConnection,
    id: Uuid,
    job_id: i64,
    old: &OldPurchase,
) -> Result<bool, DbError> {
    let made = sqlx::query!(
        "INSERT INTO predictions (id, job_id, purpose, scene_id, scene_version, attempt, task_id, lease_token, provider, model, input,
                                  input_digest, state, external_id, output_url, output_digest, units, unit, estimate_micros, cost_micros,
                                  list_micros, error, intent_at, submitted_at, finished_at)
         VALUES ($1, $2, CASE WHEN $3::uuid IS NULL THEN 'plan' ELSE 'render' END, $3, CASE WHEN $3 IS NULL THEN NULL ELSE 1 END, 1,
                 -- No task and no lease of ours: nothing works on it.
                 0, 0, 'replicate', $4, $5, $6, $7, $8, $9, $10, $11, 'second', $12, $13,
                 -- At no list price of ours: nothing is learned from it.
                 0, $14,
                 COALESCE($15, $16, now()), $15, COALESCE($16, $15, now()))
         ON CONFLICT DO NOTHING",
        id,
        job_id,
        old.scene_id,
        old.model,
        old.input,
        canonical::digest(&old.input),
        // A success without its output would be looked for.
        if old.output_digest.is_some() { "succeeded" } else { "failed" },
        old.external_id,
        old.output_url,
        old.output_digest,
        old.seconds,
        old.estimate.0,
        old.cost.0,
        old.error,
        old.started_at,
        old.finished_at,
    )
    .execute(&mut *conn)
    .await
    .doing("import a purchase")?;
    if made.rows_affected() == 0 {
        return Ok(false);
    }
    if old.cost > Micros::ZERO {
        sqlx::query!(
            "INSERT INTO ledger (at, prediction_id, job_id, client_id, campaign_id, model, kind, micros)
             SELECT p.finished_at, p.id, p.job_id, j.client_id, j.campaign_id, p.model, 'settle', p.cost_micros
             FROM predictions p JOIN jobs j ON j.id = p.job_id WHERE p.id = $1",
            id
        )
        .execute(conn)
        .await
        .doing("import the cost of a purchase")?;
    }
    Ok(true)
}
