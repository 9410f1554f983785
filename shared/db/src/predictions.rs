//! Predictions: a row stands before a byte goes out, and every change of it carries its money.

use crate::error::{DbError, Doing};
use crate::ledger;
use chrono::{DateTime, Utc};
use serde_json::Value;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::PgConnection;
use uuid::Uuid;

/// What is bought at most once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The job.
    pub job_id: i64,
    /// What for.
    pub purpose: Purpose,
    /// For clips: the scene and its version.
    pub scene: Option<(Uuid, i32)>,
    /// For music: the stretch.
    pub ordinal: i32,
}

/// A paid call about to be made.
#[derive(Debug)]
pub struct NewIntent<'a> {
    /// Ours, in the webhook's and the input images' URLs.
    pub id: Uuid,
    /// What it fills.
    pub slot: Slot,
    /// Which try it is.
    pub attempt: i32,
    /// The queue task that owns it.
    pub task_id: i64,
    /// The lease that writes it: only that run may POST.
    pub lease_token: i64,
    /// Who runs the model.
    pub provider: &'a str,
    /// `owner/name`.
    pub model: &'a str,
    /// As it will be sent.
    pub input: &'a Value,
    /// Of the input with digests in the place of URLs.
    pub input_digest: &'a str,
    /// Input name -> digest of the bytes it serves.
    pub media: &'a Value,
    /// What it is billed by.
    pub unit: &'a str,
    /// What is held for it.
    pub estimate: Micros,
}

/// A paid call as it stands.
#[derive(Debug, Clone)]
pub struct PredictionRow {
    /// Our id.
    pub id: Uuid,
    /// The job.
    pub job_id: i64,
    /// What for.
    pub purpose: Purpose,
    /// The scene, for clips.
    pub scene_id: Option<Uuid>,
    /// Its version, for clips.
    pub scene_version: Option<i32>,
    /// The stretch, for music.
    pub ordinal: i32,
    /// Which try.
    pub attempt: i32,
    /// The lease that wrote the intent.
    pub lease_token: i64,
    /// Who runs the model.
    pub provider: String,
    /// `owner/name`.
    pub model: String,
    /// As sent.
    pub input: Value,
    /// Where it stands.
    pub state: PredictionState,
    /// The provider's id.
    pub external_id: Option<String>,
    /// Where the output can be fetched, for an hour.
    pub output_url: Option<String>,
    /// The stored output.
    pub output_digest: Option<String>,
    /// What is held for it.
    pub estimate: Micros,
    /// When the intent was written.
    pub intent_at: DateTime<Utc>,
    /// Complete list scans that did not find it.
    pub empty_scans: i32,
    /// Seconds since the last of them, by the database's clock.
    pub since_scan_s: Option<f64>,
    /// Seconds since its outcome became unknown.
    pub unknown_for_s: Option<f64>,
    /// Seconds since it was submitted.
    pub submitted_for_s: Option<f64>,
    /// How often it was asked for.
    pub polls: i32,
}

macro_rules! select {
    ($filter:literal, $($arg:expr),+) => {
        sqlx::query!(
            "SELECT id, job_id, purpose, scene_id, scene_version, ordinal, attempt, lease_token, provider, model, input, state,
                    external_id, output_url, output_digest, estimate_micros, intent_at, empty_scans, polls,
                    extract(epoch FROM now() - scanned_at)::float8 AS since_scan_s,
                    extract(epoch FROM now() - unknown_at)::float8 AS unknown_for_s,
                    extract(epoch FROM now() - submitted_at)::float8 AS submitted_for_s
             FROM predictions WHERE " + $filter,
            $($arg),+
        )
    };
}

macro_rules! row {
    ($row:expr, $doing:expr) => {{
        let row = $row;
        let unreadable = |error: spool_job::state::UnknownName| DbError::Unreadable {
            operation: $doing,
            what: format!("prediction {}: {error}", row.id),
        };
        PredictionRow {
            id: row.id,
            job_id: row.job_id,
            purpose: row.purpose.parse().map_err(unreadable)?,
            scene_id: row.scene_id,
            scene_version: row.scene_version,
            ordinal: row.ordinal,
            attempt: row.attempt,
            lease_token: row.lease_token,
            provider: row.provider,
            model: row.model,
            input: row.input,
            state: row.state.parse().map_err(unreadable)?,
            external_id: row.external_id,
            output_url: row.output_url,
            output_digest: row.output_digest,
            estimate: Micros(row.estimate_micros),
            intent_at: row.intent_at,
            empty_scans: row.empty_scans,
            since_scan_s: row.since_scan_s,
            unknown_for_s: row.unknown_for_s,
            submitted_for_s: row.submitted_for_s,
            polls: row.polls,
        }
    }};
}

/// One prediction.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> Result<Option<PredictionRow>, DbError> {
    const DOING: &str = "read a prediction";
    let row = select!("id = $1", id).fetch_optional(conn).await.doing(DOING)?;
    row.map(|row| Ok(row!(row, DOING))).transpose()
}

/// The one that fills the slot: live, or already successful.
pub async fn standing(conn: &mut PgConnection, slot: Slot) -> Result<Option<PredictionRow>, DbError> {
    const DOING: &str = "read the standing prediction";
    let (scene_id, scene_version) = slot.scene.unzip();
    let row = select!(
        "job_id = $1 AND purpose = $2 AND scene_id IS NOT DISTINCT FROM $3 AND scene_version IS NOT DISTINCT FROM $4
         AND ordinal = $5 AND state IN ('intent', 'submitted', 'unknown', 'in_doubt', 'succeeded')",
        slot.job_id,
        slot.purpose.as_str(),
        scene_id,
        scene_version,
        slot.ordinal
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?;
    row.map(|row| Ok(row!(row, DOING))).transpose()
}

/// Predictions of a slot that ended without an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// All of them.
    pub all: i32,
    /// Those that used up a try: the provider's own overload does not.
    pub counted: i32,
}

/// How often the slot was tried in vain.
pub async fn tries(conn: &mut PgConnection, slot: Slot) -> Result<Tries, DbError> {
    let (scene_id, scene_version) = slot.scene.unzip();
    let row = sqlx::query!(
        r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE error_class IS DISTINCT FROM 'E6716') AS "counted!" FROM predictions
           WHERE job_id = $1 AND purpose = $2 AND scene_id IS NOT DISTINCT FROM $3 AND scene_version IS NOT DISTINCT FROM $4
             AND ordinal = $5 AND state IN ('failed', 'canceled', 'aborted')"#,
        slot.job_id,
        slot.purpose.as_str(),
        scene_id,
        scene_version,
        slot.ordinal,
    )
    .fetch_one(conn)
    .await
    .doing("count the tries")?;
    Ok(Tries { all: row.all as i32, counted: row.counted as i32 })
}

/// The last stretch of music that is stored, if any.
pub async fn music_so_far(conn: &mut PgConnection, job_id: i64) -> Result<Vec<(i32, String)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT ordinal, output_digest AS "digest!" FROM predictions
           WHERE job_id = $1 AND purpose = 'music' AND output_digest IS NOT NULL AND state = 'succeeded' ORDER BY ordinal"#,
        job_id
    )
    .fetch_all(conn)
    .await
    .doing("read the music so far")?;
    Ok(rows.into_iter().map(|row| (row.ordinal, row.digest)).collect())
}

/// Writes the intent and holds its money. Fails on `predictions_live` when one already stands.
pub async fn intend(conn: &mut PgConnection, new: &NewIntent<'_>) -> Result<(), DbError> {
    let (scene_id, scene_version) = new.slot.scene.unzip();
    sqlx::query!(
        "INSERT INTO predictions (id, job_id, purpose, scene_id, scene_version, ordinal, attempt, task_id, lease_token, provider,
                                  model, input, input_digest, media, state, unit, estimate_micros)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'intent', $15, $16)",
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
        new.media,
        new.unit,
        new.estimate.0,
    )
    .execute(&mut *conn)
    .await
    .doing("write the intent to buy")?;
    ledger::reserve(conn, new.id, new.estimate).await
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

/// Ends a submitted prediction and books its cost.
pub async fn ended(conn: &mut PgConnection, id: Uuid, end: &End<'_>) -> Result<(), DbError> {
    const DOING: &str = "end a prediction";
    let estimate = sqlx::query_scalar!(
        "UPDATE predictions SET state = $2, output_url = $3, units = $4, cost_micros = $5, error_class = $6, error = $7,
                finished_at = now()
         WHERE id = $1 AND state = ANY($8) RETURNING estimate_micros",
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
    if end.cost == Micros::ZERO {
        ledger::release(conn, id, Micros(estimate)).await
    } else {
        ledger::settle(conn, id, end.cost).await
    }
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

/// What a webhook turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Not seen before.
    pub first: bool,
    /// The queue task to wake, when the prediction is known and not final.
    pub task_id: Option<i64>,
}

/// Records a verified webhook; when our prediction has no id yet, the webhook brings it.
pub async fn record_webhook(
    conn: &mut PgConnection,
    provider: &str,
    webhook_id: &str,
    prediction: Uuid,
    external_id: Option<&str>,
) -> Result<Delivery, DbError> {
    const DOING: &str = "record a webhook";
    let inserted = sqlx::query!(
        "INSERT INTO webhook_deliveries (provider, id, prediction_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        provider,
        webhook_id,
        prediction,
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    let first = inserted.rows_affected() == 1;
    if let Some(external_id) = external_id {
        submitted(conn, prediction, external_id, true).await?;
    }
    let task_id = sqlx::query_scalar!(
        "SELECT task_id FROM predictions WHERE id = $1 AND state IN ('intent', 'submitted', 'unknown', 'in_doubt')",
        prediction
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?;
    Ok(Delivery { first, task_id })
}

fn states_before(state: PredictionState) -> Vec<String> {
    PredictionState::ALL
        .iter()
        .filter(|from| from.can_become(state))
        .map(|from| from.as_str().to_owned())
        .collect()
}
