//! Jobs: created with their storyboard, approved once, concluded once.

use crate::error::{DbError, Doing};
use crate::ledger::JobMoney;
use crate::{ledger, progress};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spool_job::estimate::Estimate;
use spool_job::spec::JobSpec;
use spool_job::state::JobState;
use sqlx::PgConnection;
use uuid::Uuid;

/// A job as readers see it.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// Its number.
    pub id: i64,
    /// How it came to be.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// Raised when a final job is opened again.
    pub revision: i32,
    /// Raised by every visible change.
    pub version: i64,
    /// Whose it is.
    pub client_id: Option<Uuid>,
    /// Whose photos.
    pub campaign_id: Option<Uuid>,
    /// For people.
    pub video_name: String,
    /// The caller's parameters, as given.
    pub parameters: Value,
    /// What to make.
    pub spec: JobSpec,
    /// What it was thought to cost.
    pub estimate: Estimate,
    /// What it holds and has spent.
    pub money: JobMoney,
    /// 0 to 100.
    pub progress_percent: i16,
    /// One word for what is going on.
    pub stage: String,
    /// Why it waits, when it does.
    pub parked: Option<String>,
    /// The same, for people.
    pub parked_why: Option<String>,
    /// Until when at the latest, if that is known.
    pub parked_until: Option<DateTime<Utc>>,
    /// Made without some of its scenes.
    pub partial: bool,
    /// Stable word for why it failed.
    pub error_code: Option<String>,
    /// Sentence for why it failed.
    pub error: Option<String>,
    /// The joined clips, before music.
    pub clips_digest: Option<String>,
    /// The video with its soundtrack; readers see it once the job is completed.
    pub video_digest: Option<String>,
    /// A frame of it.
    pub thumbnail_digest: Option<String>,
    /// When it was asked for.
    pub inserted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When somebody said yes.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The job as it stands; with `owner`, only if it belongs to that client.
pub async fn show(conn: &mut PgConnection, id: i64, owner: Option<Uuid>) -> Result<Option<JobRow>, DbError> {
    const DOING: &str = "read the job";
    let Some(row) = sqlx::query!(
        "SELECT id, type AS kind, state, revision, version, client_id, campaign_id, video_name, parameters, spec, estimate,
                progress_percent, stage, parked, parked_why, parked_until, partial, error_code, error, clips_digest, video_digest,
                thumbnail_digest, inserted_at, updated_at, approved_at, finished_at
         FROM jobs WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2)",
        id,
        owner,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    else {
        return Ok(None);
    };
    let money = ledger::of_job(conn, id).await?;
    let unreadable =
        |what: String| DbError::Unreadable { operation: DOING, what: format!("job {id}: {what}") };
    Ok(Some(JobRow {
        id: row.id,
        kind: row.kind,
        state: row.state.parse().map_err(|error| unreadable(format!("{error}")))?,
        revision: row.revision,
        version: row.version,
        client_id: row.client_id,
        campaign_id: row.campaign_id,
        video_name: row.video_name,
        parameters: row.parameters,
        spec: serde_json::from_value(row.spec).map_err(|error| unreadable(format!("spec: {error}")))?,
        estimate: serde_json::from_value(row.estimate)
            .map_err(|error| unreadable(format!("estimate: {error}")))?,
        money,
        progress_percent: row.progress_percent,
        stage: row.stage,
        parked: row.parked,
        parked_why: row.parked_why,
        parked_until: row.parked_until,
        partial: row.partial,
        error_code: row.error_code,
        error: row.error,
        clips_digest: row.clips_digest,
        video_digest: row.video_digest,
        thumbnail_digest: row.thumbnail_digest,
        inserted_at: row.inserted_at,
        updated_at: row.updated_at,
        approved_at: row.approved_at,
        finished_at: row.finished_at,
    }))
}

/// What a conditional read needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Raised by every visible change.
    pub version: i64,
    /// Where the job stands.
    pub state: JobState,
    /// One word for what is going on.
    pub stage: String,
}

/// Version, state and stage only.
pub async fn version(
    conn: &mut PgConnection,
    id: i64,
    owner: Option<Uuid>,
) -> Result<Option<Version>, DbError> {
    const DOING: &str = "read the job's version";
    sqlx::query!(
        "SELECT version, state, stage FROM jobs WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2)",
        id,
        owner
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?
    .map(|row| Ok(Version { version: row.version, state: parse_state(&row.state, DOING)?, stage: row.stage }))
    .transpose()
}

/// What became of an approval.
#[derive(Debug)]
pub enum Approval {
    /// It is approved; insert the DAG in the same transaction.
    Approved {
        /// Its revision.
        revision: i32,
        /// Whose it is: the key that the queue shares its workers fairly by.
        client_id: Option<Uuid>,
        /// What to make.
        spec: JobSpec,
        /// Scene ids and versions in order.
        scenes: Vec<(Uuid, i32)>,
    },
    /// It is not waiting for one.
    NotPending(JobState),
    /// There is no such job (for this owner).
    Unknown,
}

/// Approves a pending job. The caller inserts the DAG before it commits.
pub async fn approve(conn: &mut PgConnection, id: i64, owner: Option<Uuid>) -> Result<Approval, DbError> {
    const DOING: &str = "approve the job";
    let Some(row) = sqlx::query!(
        "SELECT state, revision, client_id, spec FROM jobs WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2) FOR UPDATE",
        id,
        owner,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    else {
        return Ok(Approval::Unknown);
    };
    let state = parse_state(&row.state, DOING)?;
    if state != JobState::Pending {
        return Ok(Approval::NotPending(state));
    }
    sqlx::query!("UPDATE jobs SET state = 'approved', approved_at = now() WHERE id = $1", id)
        .execute(&mut *conn)
        .await
        .doing(DOING)?;
    progress::refresh(conn, id, "approved", &json!({})).await?;
    let scenes = sqlx::query!("SELECT id, version FROM scenes WHERE job_id = $1 ORDER BY index", id)
        .fetch_all(&mut *conn)
        .await
        .doing(DOING)?;
    let spec = serde_json::from_value(row.spec).map_err(|error| DbError::Unreadable {
        operation: DOING,
        what: format!("job {id}: spec: {error}"),
    })?;
    Ok(Approval::Approved {
        revision: row.revision,
        client_id: row.client_id,
        spec,
        scenes: scenes.into_iter().map(|scene| (scene.id, scene.version)).collect(),
    })
}

/// Locks the job's row, first of all locks, and says where it stands.
pub async fn lock(conn: &mut PgConnection, id: i64) -> Result<JobState, DbError> {
    const DOING: &str = "lock the job";
    let state = sqlx::query_scalar!("SELECT state FROM jobs WHERE id = $1 FOR UPDATE", id)
        .fetch_optional(conn)
        .await
        .doing(DOING)?
        .ok_or_else(|| DbError::Moved { operation: DOING, what: format!("job {id}") })?;
    parse_state(&state, DOING)
}

/// A task of the job has begun. Harmless when others had begun before.
pub async fn begin(conn: &mut PgConnection, id: i64) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE jobs SET state = 'processing', version = version + 1, updated_at = now()
         WHERE id = $1 AND state = 'approved'",
        id
    )
    .execute(conn)
    .await
    .doing("begin the job")?;
    Ok(())
}

/// Why a job waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// `budget`, `provider` or `paused`.
    pub what: &'static str,
    /// For people.
    pub why: String,
    /// Until when at the latest, if that is known.
    pub until: Option<DateTime<Utc>>,
}

/// Shows why the job waits, or that it no longer does.
pub async fn park(conn: &mut PgConnection, id: i64, parked: Option<&Parked>) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE jobs SET parked = $2, parked_why = $3, parked_until = $4, version = version + 1, updated_at = now()
         WHERE id = $1 AND (parked, parked_why, parked_until) IS DISTINCT FROM ($2, $3, $4)",
        id,
        parked.map(|parked| parked.what),
        parked.map(|parked| parked.why.as_str()),
        parked.and_then(|parked| parked.until),
    )
    .execute(conn)
    .await
    .doing("show why the job waits")?;
    Ok(())
}

/// The clips are joined.
pub async fn stitched(conn: &mut PgConnection, id: i64, digest: &str, partial: bool) -> Result<(), DbError> {
    sqlx::query!("UPDATE jobs SET clips_digest = $2, partial = $3 WHERE id = $1", id, digest, partial)
        .execute(&mut *conn)
        .await
        .doing("record the joined clips")?;
    progress::refresh(conn, id, "stitched", &json!({"partial": partial})).await
}

/// The soundtrack lies under them.
pub async fn mixed(conn: &mut PgConnection, id: i64, digest: &str, music: bool) -> Result<(), DbError> {
    sqlx::query!("UPDATE jobs SET video_digest = $2 WHERE id = $1", id, digest)
        .execute(&mut *conn)
        .await
        .doing("record the mixed video")?;
    progress::refresh(conn, id, "mixed", &json!({"music": music})).await
}

/// The video was checked; a frame of it stands for it.
pub async fn verified(
    conn: &mut PgConnection,
    id: i64,
    thumbnail: &str,
    data: &Value,
) -> Result<(), DbError> {
    sqlx::query!("UPDATE jobs SET thumbnail_digest = $2 WHERE id = $1", id, thumbnail)
        .execute(&mut *conn)
        .await
        .doing("record the verified video")?;
    progress::refresh(conn, id, "verified", data).await
}

/// How a job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// With its video.
    Completed,
    /// Without one.
    Failed {
        /// Stable word.
        code: String,
        /// Sentence.
        error: String,
    },
    /// Called off.
    Canceled,
}

/// Ends the job. The caller has locked it and found it `processing` or `approved`.
pub async fn conclude(conn: &mut PgConnection, id: i64, end: &Conclusion) -> Result<(), DbError> {
    let (state, code, error) = match end {
        Conclusion::Completed => (JobState::Completed, None, None),
        Conclusion::Failed { code, error } => (JobState::Failed, Some(code), Some(error)),
        Conclusion::Canceled => (JobState::Canceled, None, None),
    };
    let percent = if *end == Conclusion::Completed { Some(100_i16) } else { None };
    let ended = sqlx::query!(
        "UPDATE jobs SET state = $2, error_code = $3, error = $4, finished_at = now(), parked = NULL, parked_why = NULL, parked_until = NULL,
                progress_percent = COALESCE($5, progress_percent)
         WHERE id = $1 AND state IN ('planning', 'pending', 'approved', 'processing')",
        id,
        state.as_str(),
        code.map(String::as_str),
        error.map(String::as_str),
        percent,
    )
    .execute(&mut *conn)
    .await
    .doing("conclude the job")?;
    if ended.rows_affected() == 0 {
        return Err(DbError::Moved { operation: "conclude the job", what: format!("job {id}") });
    }
    crate::budgets::job_waits_no_more(conn, id).await?;
    crate::limits::line::job_waits_no_more(conn, id).await?;
    progress::refresh(conn, id, state.as_str(), &json!({"error_code": code, "error": error})).await
}

fn parse_state(state: &str, operation: &'static str) -> Result<JobState, DbError> {
    state.parse().map_err(|error| DbError::Unreadable { operation, what: format!("{error}") })
}
