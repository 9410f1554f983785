//! Predictions: a row stands before a byte goes out, and every change of it carries its money.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use serde_json::Value;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::PgConnection;
use std::fmt;
use uuid::Uuid;

mod changes;
pub mod doubt;
mod flight;
pub mod memo;
mod recalled;

pub use changes::{
    End, bound, collected, ended, in_doubt, intend, polled, refused, scanned_empty, submitted, unknown, void,
};
pub use flight::in_flight;
pub use recalled::{open_of_job, taken_over, task_of};

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
    /// The same for the same order, whatever seed we added: by it an output is used again.
    pub memo_key: &'a str,
    /// Input name -> digest of the bytes it serves.
    pub media: &'a Value,
    /// What it is billed by.
    pub unit: &'a str,
    /// The price per unit: it is settled by it.
    pub unit_price: Micros,
    /// What was ordered, at that price.
    pub list: Micros,
    /// What is held for it: not less than `list`.
    pub estimate: Micros,
}

/// A paid call as it stands.
#[derive(Clone)]
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
    /// Input name -> digest of the bytes it serves.
    pub media: Value,
    /// Where it stands.
    pub state: PredictionState,
    /// The provider's id.
    pub external_id: Option<String>,
    /// Where the output can be fetched, for an hour.
    pub output_url: Option<String>,
    /// The stored output.
    pub output_digest: Option<String>,
    /// The price per unit it is settled by; none in rows from before it was kept.
    pub unit_price: Option<Micros>,
    /// What was ordered at that price.
    pub list: Micros,
    /// What is held for it.
    pub estimate: Micros,
    /// When the intent was written.
    pub intent_at: DateTime<Utc>,
    /// Complete list scans that did not find it.
    pub empty_scans: i32,
    /// Seconds since the last of them, by the database's clock.
    pub since_scan_s: Option<f64>,
    /// Seconds since the intent was written: the POST, if there was one, is about that old.
    pub intent_for_s: f64,
    /// Seconds since its outcome became unknown.
    pub unknown_for_s: Option<f64>,
    /// Seconds since it was submitted.
    pub submitted_for_s: Option<f64>,
    /// How often it was asked for.
    pub polls: i32,
}

/// Without input and output: they are the caller's and stand in no log.
impl fmt::Debug for PredictionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PredictionRow")
            .field("id", &self.id)
            .field("job_id", &self.job_id)
            .field("purpose", &self.purpose)
            .field("attempt", &self.attempt)
            .field("model", &self.model)
            .field("state", &self.state)
            .field("external_id", &self.external_id)
            .finish_non_exhaustive()
    }
}

macro_rules! select {
    ($filter:literal, $($arg:expr),+) => {
        sqlx::query!(
            "SELECT id, job_id, purpose, scene_id, scene_version, ordinal, attempt, lease_token, provider, model, input, media, state,
                    external_id, output_url, output_digest, unit_micros, COALESCE(list_micros, estimate_micros) AS \"list_micros!\",
                    estimate_micros, intent_at, empty_scans, polls,
                    extract(epoch FROM now() - scanned_at)::float8 AS since_scan_s,
                    extract(epoch FROM now() - unknown_at)::float8 AS unknown_for_s,
                    extract(epoch FROM now() - intent_at)::float8 AS \"intent_for_s!\",
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
            media: row.media,
            state: row.state.parse().map_err(unreadable)?,
            external_id: row.external_id,
            output_url: row.output_url,
            output_digest: row.output_digest,
            unit_price: row.unit_micros.map(Micros),
            list: Micros(row.list_micros),
            estimate: Micros(row.estimate_micros),
            intent_at: row.intent_at,
            empty_scans: row.empty_scans,
            since_scan_s: row.since_scan_s,
            intent_for_s: row.intent_for_s,
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
         AND ordinal = $5 AND state IN ('intent', 'submitted', 'unknown', 'in_doubt', 'succeeded')
         AND NOT (purpose = 'music' AND output_lost_at IS NOT NULL)",
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

/// How often the slot was tried in vain, since the job was approved or opened again.
pub async fn tries(conn: &mut PgConnection, slot: Slot) -> Result<Tries, DbError> {
    let (scene_id, scene_version) = slot.scene.unzip();
    let row = sqlx::query!(
        r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE error_class IS DISTINCT FROM 'E6716') AS "counted!" FROM predictions
           WHERE job_id = $1 AND purpose = $2 AND scene_id IS NOT DISTINCT FROM $3 AND scene_version IS NOT DISTINCT FROM $4
             AND ordinal = $5 AND state IN ('failed', 'canceled', 'aborted') AND job_revision = (SELECT revision FROM jobs WHERE id = $1)"#,
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
