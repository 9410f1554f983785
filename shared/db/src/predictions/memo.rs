//! What was bought once is used again: an order that is the same as an earlier one gets its stored output, for nothing.

use super::NewIntent;
use crate::error::{DbError, Doing};
use spool_job::money::Micros;
use sqlx::PgConnection;
use uuid::Uuid;

/// An output that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The prediction that was paid for it.
    pub id: Uuid,
    /// The stored output.
    pub digest: String,
    /// Its length.
    pub bytes: i64,
    /// What it cost then.
    pub cost: Micros,
}

/// The newest stored output of the same order, if there is one. `memo_key` is that of [`NewIntent`].
pub async fn kept(conn: &mut PgConnection, memo_key: &str) -> Result<Option<Kept>, DbError> {
    let row = sqlx::query!(
        r#"SELECT p.id, m.digest, m.bytes, p.cost_micros AS "cost!" FROM predictions p JOIN media m ON m.digest = p.output_digest
           WHERE p.memo_key = $1 AND p.state = 'succeeded' AND p.output_digest IS NOT NULL AND p.reused_from IS NULL
           ORDER BY p.finished_at DESC LIMIT 1"#,
        memo_key
    )
    .fetch_optional(conn)
    .await
    .doing("look for an output to use again")?;
    Ok(row.map(|row| Kept { id: row.id, digest: row.digest, bytes: row.bytes, cost: Micros(row.cost) }))
}

/// Fills the slot with an output that is stored: a successful prediction that cost nothing. Fails on `predictions_live` when the
/// slot is filled already.
pub async fn reuse(conn: &mut PgConnection, new: &NewIntent<'_>, kept: &Kept) -> Result<(), DbError> {
    let (scene_id, scene_version) = new.slot.scene.unzip();
    sqlx::query!(
        "INSERT INTO predictions (id, job_id, purpose, scene_id, scene_version, ordinal, attempt, task_id, lease_token, provider,
                                  model, input, input_digest, memo_key, media, unit, state, reused_from, output_digest,
                                  estimate_micros, cost_micros, finished_at, job_revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'succeeded', $17, $18, 0, 0, now(),
                 (SELECT revision FROM jobs WHERE id = $2))",
        new.id,
        new.slot.job_id,
        new.slot.purpose.as_str(),
        scene_id,
        scene_version,
        new.slot.ordinal,
        new.attempt,
        new.task_id,
        new.lease_token,
        new.provider,
        new.model,
        new.input,
        new.input_digest,
        new.memo_key,
        new.media,
        new.unit,
        kept.id,
        kept.digest,
    )
    .execute(conn)
    .await
    .doing("use a stored output again")?;
    Ok(())
}

/// What a job was spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reused {
    /// Outputs that were not bought.
    pub outputs: i64,
    /// What they had cost when they were bought.
    pub saved: Micros,
}

/// What a job was spared by earlier purchases.
pub async fn of_job(conn: &mut PgConnection, job_id: i64) -> Result<Reused, DbError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "outputs!", COALESCE(sum(b.cost_micros), 0)::bigint AS "saved!"
           FROM predictions p JOIN predictions b ON b.id = p.reused_from WHERE p.job_id = $1"#,
        job_id
    )
    .fetch_one(conn)
    .await
    .doing("count what a job was spared")?;
    Ok(Reused { outputs: row.outputs, saved: Micros(row.saved) })
}
