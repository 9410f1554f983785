//! What a job's purchases wait for, and how long such took. All of it is read, nothing is locked.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use spool_job::money::Micros;
use spool_job::origin::Origin;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::spec::JobSpec;
use spool_job::state::JobState;
use sqlx::PgConnection;
use std::time::Duration;
use uuid::Uuid;

/// The job, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    /// When it was read, by the database's clock.
    pub at: DateTime<Utc>,
    pub client_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub state: JobState,
    pub spec: JobSpec,
    /// What it was thought to cost.
    pub estimate: Micros,
    pub error_code: Option<String>,
    pub error: Option<String>,
    /// Made without some of its scenes.
    pub partial: bool,
    pub approved_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// The request that its tasks were last enqueued for.
    pub origin: Option<Origin>,
}

/// The job as it stands; with `owner`, only if it belongs to that client.
pub async fn job(conn: &mut PgConnection, id: i64, owner: Option<Uuid>) -> Result<Option<JobFacts>, DbError> {
    const DOING: &str = "read the job to explain";
    let row = sqlx::query!(
        r#"SELECT now() AS "at!", client_id, campaign_id, state, spec, estimate_micros, error_code, error, partial, approved_at, finished_at,
                  request_id, trace_parent
           FROM jobs WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2)"#,
        id,
        owner,
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?;
    let unreadable =
        |what: String| DbError::Unreadable { operation: DOING, what: format!("job {id}: {what}") };
    row.map(|row| {
        Ok(JobFacts {
            at: row.at,
            client_id: row.client_id,
            campaign_id: row.campaign_id,
            state: row.state.parse().map_err(|error| unreadable(format!("{error}")))?,
            spec: serde_json::from_value(row.spec).map_err(|error| unreadable(format!("spec: {error}")))?,
            estimate: Micros(row.estimate_micros),
            error_code: row.error_code,
            error: row.error,
            partial: row.partial,
            approved_at: row.approved_at,
            finished_at: row.finished_at,
            origin: row.request_id.map(|request_id| Origin { request_id, trace_parent: row.trace_parent }),
        })
    })
    .transpose()
}

/// A scene, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    pub id: Uuid,
    /// Place in the video, from 0.
    pub index: i32,
    pub duration_ms: i32,
}

/// The job's scenes in order.
pub async fn shots(conn: &mut PgConnection, job_id: i64) -> Result<Vec<Shot>, DbError> {
    sqlx::query_as!(
        Shot,
        "SELECT id, index, duration_ms FROM scenes WHERE job_id = $1 ORDER BY index",
        job_id
    )
    .fetch_all(conn)
    .await
    .doing("read the scenes to explain")
}

/// A paid call of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub id: Uuid,
    pub purpose: Purpose,
    /// The scene and its version, for clips.
    pub scene: Option<(Uuid, i32)>,
    /// The stretch, for music.
    pub ordinal: i32,
    pub model: String,
    pub state: PredictionState,
    pub intent_at: DateTime<Utc>,
}

/// The job's paid calls, oldest first.
pub async fn calls(conn: &mut PgConnection, job_id: i64) -> Result<Vec<Call>, DbError> {
    const DOING: &str = "read the predictions to explain";
    let rows = sqlx::query!(
        "SELECT id, purpose, scene_id, scene_version, ordinal, model, state, intent_at FROM predictions
         WHERE job_id = $1 ORDER BY intent_at, id",
        job_id
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    rows.into_iter()
        .map(|row| {
            let unreadable = |error: spool_job::state::UnknownName| DbError::Unreadable {
                operation: DOING,
                what: format!("prediction {}: {error}", row.id),
            };
            Ok(Call {
                id: row.id,
                purpose: row.purpose.parse().map_err(unreadable)?,
                scene: row.scene_id.zip(row.scene_version),
                ordinal: row.ordinal,
                model: row.model,
                state: row.state.parse().map_err(unreadable)?,
                intent_at: row.intent_at,
            })
        })
        .collect()
}

/// How long the last predictions of a purpose took that ended well, from the intent to the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypicalCall {
    pub purpose: Purpose,
    /// How many predictions this is about.
    pub calls: u64,
    /// Half of them took no longer.
    pub median: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
}

/// Of the last 1,000 predictions, by their ids: those grow with time, so their index finds them.
pub async fn typical_calls(conn: &mut PgConnection) -> Result<Vec<TypicalCall>, DbError> {
    const DOING: &str = "look how long predictions took";
    let rows = sqlx::query!(
        r#"SELECT purpose AS "purpose!", count(*) AS "calls!", percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS "median!",
                  percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS "p95!"
           FROM (SELECT purpose, state, extract(epoch FROM finished_at - intent_at)::float8 AS seconds
                 FROM predictions ORDER BY id DESC LIMIT 1000) recent
           WHERE state = 'succeeded' AND seconds IS NOT NULL
           GROUP BY purpose"#
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    rows.into_iter()
        .map(|row| {
            Ok(TypicalCall {
                purpose: row
                    .purpose
                    .parse()
                    .map_err(|error| DbError::Unreadable { operation: DOING, what: format!("{error}") })?,
                calls: row.calls.unsigned_abs(),
                median: seconds(row.median),
                p95: seconds(row.p95),
            })
        })
        .collect()
}
