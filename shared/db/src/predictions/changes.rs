//! The changes of a prediction, each guarded by the state it starts from and with its money.

use super::NewIntent;
use crate::budgets::{self, Decision};
use crate::error::{DbError, Doing};
use crate::{learned, ledger};
use spool_job::money::Micros;
use spool_job::prediction::PredictionState;
use spool_job::quote::variance_permille;
use sqlx::PgConnection;
use uuid::Uuid;

/// Writes the intent and holds its money. Fails on `predictions_live` when one already stands. Unless the money is held the
/// caller must roll back: there is an intent that nothing stands behind.
pub async fn intend(conn: &mut PgConnection, new: &NewIntent<'_>) -> Result<Decision, DbError> {
    let (scene_id, scene_version) = new.slot.scene.unzip();
    sqlx::query!(
        "INSERT INTO predictions (id, job_id, purpose, scene_id, scene_version, ordinal, attempt, task_id, lease_token, provider,
                                  model, input, input_digest, memo_key, media, state, unit, unit_micros, list_micros, estimate_micros,
                                  job_revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'intent', $16, $17, $18, $19,
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
        new.unit_price.0,
        new.list.0,
        new.estimate.0,
    )
    .execute(&mut *conn)
    .await
    .doing("write the intent to buy")?;
    let decision = budgets::reserve(conn, new.id, new.slot.job_id, new.estimate).await?;
    if decision == Decision::Held {
        ledger::reserve(conn, new.id, new.estimate).await?;
    }
    Ok(decision)
}

/// The provider has it under `external_id`; `adopted` when we learned it later than from the POST.
/// Says whether the row took it: another id already bound there stays.
pub async fn submitted(
    conn: &mut PgConnection,
    id: Uuid,
    external_id: &str,
    adopted: bool,
) -> Result<bool, DbError> {
    let bound = sqlx::query!(
        "UPDATE predictions SET state = 'submitted', external_id = $2, submitted_at = now(),
                adopted_at = CASE WHEN $3 THEN now() END
         WHERE id = $1 AND state IN ('intent', 'unknown', 'in_doubt')",
        id,
        external_id,
        adopted,
    )
    .execute(&mut *conn)
    .await
    .doing("bind the provider's id")?;
    if bound.rows_affected() == 1 {
        return Ok(true);
    }
    let same = sqlx::query_scalar!(
        r#"SELECT external_id = $2 AS "same" FROM predictions WHERE id = $1"#,
        id,
        external_id
    )
    .fetch_optional(conn)
    .await
    .doing("bind the provider's id")?;
    Ok(same.flatten().unwrap_or(false))
}

/// The provider said no before anything was created: the money is free again.
pub async fn refused(conn: &mut PgConnection, id: Uuid, class: &str, error: &str) -> Result<(), DbError> {
    not_bought(conn, id, PredictionState::Refused, Some((class, error))).await
}

/// Looked for thoroughly and not there: the money is free again.
pub async fn void(conn: &mut PgConnection, id: Uuid) -> Result<(), DbError> {
    not_bought(conn, id, PredictionState::Void, None).await
}

async fn not_bought(
    conn: &mut PgConnection,
    id: Uuid,
    state: PredictionState,
    why: Option<(&str, &str)>,
) -> Result<(), DbError> {
    const DOING: &str = "record that nothing was bought";
    let estimate = sqlx::query_scalar!(
        "UPDATE predictions SET state = $2, error_class = $3, error = $4, finished_at = now()
         WHERE id = $1 AND state = ANY($5) RETURNING estimate_micros",
        id,
        state.as_str(),
        why.map(|(class, _)| class),
        why.map(|(_, error)| error),
        &states_before(state),
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    .ok_or_else(|| DbError::Moved { operation: DOING, what: format!("prediction {id}") })?;
    budgets::settle(conn, id, Micros::ZERO).await?;
    ledger::release(conn, id, Micros(estimate)).await
}

/// Nobody knows whether it was created: from here it is only looked for.
pub async fn unknown(conn: &mut PgConnection, id: Uuid, why: &str) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE predictions SET state = 'unknown', unknown_at = now(), error = $2 WHERE id = $1 AND state = 'intent'",
        id,
        why,
    )
    .execute(conn)
    .await
    .doing("record an unknown outcome")?;
    Ok(())
}

/// A complete scan did not find it; returns how many there were.
pub async fn scanned_empty(conn: &mut PgConnection, id: Uuid) -> Result<i32, DbError> {
    sqlx::query_scalar!(
        "UPDATE predictions SET empty_scans = empty_scans + 1, scanned_at = now()
         WHERE id = $1 AND state = 'unknown' RETURNING empty_scans",
        id
    )
    .fetch_optional(conn)
    .await
    .doing("count an empty scan")
    .map(|scans| scans.unwrap_or(0))
}

/// It could not be found or ruled out in time; a late webhook or an admin decides.
pub async fn in_doubt(conn: &mut PgConnection, id: Uuid) -> Result<(), DbError> {
    sqlx::query!("UPDATE predictions SET state = 'in_doubt' WHERE id = $1 AND state = 'unknown'", id)
        .execute(conn)
        .await
        .doing("put a prediction in doubt")?;
    Ok(())
}

/// It was asked for once more and is not done.
pub async fn polled(conn: &mut PgConnection, id: Uuid) -> Result<(), DbError> {
    sqlx::query!("UPDATE predictions SET polls = polls + 1 WHERE id = $1", id)
        .execute(conn)
        .await
        .doing("count a poll")?;
    Ok(())
}

/// How a submitted prediction ended.
#[derive(Debug)]
pub struct End<'a> {
    /// Succeeded, failed, canceled or aborted.
    pub state: PredictionState,
    /// Where the output is.
    pub output_url: Option<&'a str>,
    /// What the provider says it produced.
    pub units: Option<f64>,
    /// What it cost; zero gives the reservation back.
    pub cost: Micros,
    /// Class and text of the failure.
    pub failure: Option<(&'a str, &'a str)>,
}

/// Ends a submitted prediction and books its cost. A success far off its list price is marked, and all successes are learned from.
pub async fn ended(conn: &mut PgConnection, id: Uuid, end: &End<'_>) -> Result<(), DbError> {
    const DOING: &str = "end a prediction";
    let row = sqlx::query!(
        r#"UPDATE predictions SET state = $2, output_url = $3, units = $4, cost_micros = $5, error_class = $6, error = $7,
                  finished_at = now()
           WHERE id = $1 AND state = ANY($8)
           RETURNING estimate_micros, COALESCE(list_micros, estimate_micros) AS "list_micros!", model, unit"#,
        id,
        end.state.as_str(),
        end.output_url,
        end.units,
        end.cost.0,
        end.failure.map(|(class, _)| class),
        end.failure.map(|(_, error)| error),
        &states_before(end.state),
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    .ok_or_else(|| DbError::Moved { operation: DOING, what: format!("prediction {id}") })?;
    budgets::settle(conn, id, end.cost).await?;
    if end.cost == Micros::ZERO {
        return ledger::release(conn, id, Micros(row.estimate_micros)).await;
    }
    ledger::settle(conn, id, end.cost).await?;
    if end.state == PredictionState::Succeeded {
        mark_variance(conn, id, Micros(row.list_micros), end.cost).await?;
        learned::refresh(conn, &row.model, &row.unit).await?;
    }
    Ok(())
}

async fn mark_variance(conn: &mut PgConnection, id: Uuid, list: Micros, cost: Micros) -> Result<(), DbError> {
    let Some(permille) = variance_permille(list, cost) else { return Ok(()) };
    sqlx::query!("UPDATE predictions SET variance_permille = $2 WHERE id = $1", id, permille)
        .execute(conn)
        .await
        .doing("mark a cost far off its estimate")?;
    Ok(())
}

/// Its output is stored.
pub async fn collected(conn: &mut PgConnection, id: Uuid, digest: &str) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE predictions SET output_digest = $2 WHERE id = $1 AND state = 'succeeded'",
        id,
        digest
    )
    .execute(conn)
    .await
    .doing("record a stored output")?;
    Ok(())
}

/// Which of these provider ids are already bound to a row.
pub async fn bound(
    conn: &mut PgConnection,
    provider: &str,
    external_ids: &[String],
) -> Result<Vec<String>, DbError> {
    sqlx::query_scalar!(
        r#"SELECT external_id AS "id!" FROM predictions WHERE provider = $1 AND external_id = ANY($2)"#,
        provider,
        external_ids,
    )
    .fetch_all(conn)
    .await
    .doing("look up provider ids")
}

fn states_before(state: PredictionState) -> Vec<String> {
    PredictionState::ALL
        .iter()
        .filter(|from| from.can_become(state))
        .map(|from| from.as_str().to_owned())
        .collect()
}
