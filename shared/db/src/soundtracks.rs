//! The music of a job: what is there of it, and jobs that get some afterwards.

use crate::error::{DbError, Doing};
use crate::media::MediaRow;
use crate::progress;
use crate::revisions::Reopened;
use chrono::{DateTime, Utc};
use serde_json::json;
use spool_job::estimate::Estimate;
use spool_job::spec::{JobSpec, OnMusicFailure};
use spool_job::state::{JobState, UnknownName};
use sqlx::PgConnection;
use uuid::Uuid;

/// What is there of a job's music.
#[derive(Debug, Clone)]
pub struct Soundtrack {
    /// Where the job stands.
    pub state: JobState,
    /// Whether the job is to have music.
    pub wanted: bool,
    /// Scenes of the job.
    pub scenes: i64,
    /// Stretches that are stored, one per scene at most.
    pub stretches: i64,
    /// When the last of them was made.
    pub made_at: Option<DateTime<Utc>>,
    /// The whole soundtrack as it lies under the video, once that was made.
    pub whole: Option<MediaRow>,
    /// Why the job failed.
    pub error: Option<String>,
}

/// The music of a job (of this owner).
pub async fn of_job(
    conn: &mut PgConnection,
    id: i64,
    owner: Option<Uuid>,
) -> Result<Option<Soundtrack>, DbError> {
    const DOING: &str = "read the music of a job";
    let Some(row) = sqlx::query!(
        r#"SELECT j.state, (j.spec ->> 'music')::boolean AS "wanted!", j.music_digest, j.error,
                  (SELECT count(*) FROM scenes s WHERE s.job_id = j.id) AS "scenes!", p.stretches AS "stretches!", p.made_at
           FROM jobs j CROSS JOIN LATERAL (
               SELECT count(*) AS stretches, max(finished_at) AS made_at FROM predictions
               WHERE job_id = j.id AND purpose = 'music' AND state = 'succeeded' AND output_digest IS NOT NULL) p
           WHERE j.id = $1 AND j.deleted_at IS NULL AND ($2::uuid IS NULL OR j.client_id = $2)"#,
        id,
        owner,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    else {
        return Ok(None);
    };
    let whole = match &row.music_digest {
        Some(digest) => crate::media::get(conn, digest).await?,
        None => None,
    };
    Ok(Some(Soundtrack {
        state: parsed(&row.state, id, DOING)?,
        wanted: row.wanted,
        scenes: row.scenes,
        stretches: row.stretches,
        made_at: row.made_at,
        whole,
        error: row.error,
    }))
}

/// Records the soundtrack that lies under the video. The job's row is locked.
pub async fn keep(conn: &mut PgConnection, job_id: i64, digest: &str) -> Result<(), DbError> {
    sqlx::query!("UPDATE jobs SET music_digest = $2 WHERE id = $1", job_id, digest)
        .execute(conn)
        .await
        .doing("record the soundtrack")?;
    Ok(())
}

/// One stretch of music, as it was bought.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The prediction that made it.
    pub id: Uuid,
    /// The place of its scene, from 0.
    pub ordinal: i32,
    /// Milliseconds.
    pub duration_ms: Option<i64>,
    /// Size.
    pub bytes: i64,
}

/// The stored stretches of a job in their order.
pub async fn stretches(conn: &mut PgConnection, job_id: i64) -> Result<Vec<Stretch>, DbError> {
    sqlx::query_as!(
        Stretch,
        "SELECT p.id, p.ordinal, m.duration_ms, m.bytes FROM predictions p JOIN media m ON m.digest = p.output_digest
         WHERE p.job_id = $1 AND p.purpose = 'music' AND p.state = 'succeeded' ORDER BY p.ordinal",
        job_id
    )
    .fetch_all(conn)
    .await
    .doing("list the stretches of music")
}

/// What a stretch holds, for this owner of its job.
pub async fn stretch(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
) -> Result<Option<MediaRow>, DbError> {
    sqlx::query_as!(
        MediaRow,
        "SELECT m.digest, m.bytes, m.content_type, m.width, m.height, m.duration_ms
         FROM predictions p JOIN jobs j ON j.id = p.job_id JOIN media m ON m.digest = p.output_digest
         WHERE p.id = $1 AND p.purpose = 'music' AND p.state = 'succeeded' AND j.deleted_at IS NULL AND ($2::uuid IS NULL OR j.client_id = $2)",
        id,
        owner,
    )
    .fetch_optional(conn)
    .await
    .doing("find a stretch of music")
}

/// How music is to be.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What it should sound like, under every scene.
    pub prompt: Option<String>,
    /// What failed music does to the video.
    pub on_failure: Option<OnMusicFailure>,
    /// How long it fades in and out, in milliseconds.
    pub fade_ms: Option<u32>,
}

/// What became of a wish for music.
#[derive(Debug)]
pub enum Adding {
    /// The job is to have music anyway: nothing is changed, and nothing bought twice.
    There,
    /// The job waits for its approval, and will have music. It is to be priced anew.
    Planned(JobSpec),
    /// The job was completed without, and is open again as a new revision. It is to be priced anew, and its DAG inserted.
    Reopened(Reopened),
    /// In this state it cannot get music.
    Refused(JobState),
    /// It was made without some of its scenes, which a new revision would buy.
    Partial,
    /// It has no scenes.
    NoStoryboard,
    /// There is no such job (for this owner).
    Unknown,
}

/// Gives a job music that was to have none.
pub async fn add(
    conn: &mut PgConnection,
    id: i64,
    owner: Option<Uuid>,
    wish: &Wish,
) -> Result<Adding, DbError> {
    const DOING: &str = "give the job music";
    let Some(row) = sqlx::query!(
        "SELECT state, client_id, spec, partial FROM jobs WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2) FOR UPDATE",
        id,
        owner,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    else {
        return Ok(Adding::Unknown);
    };
    let state = parsed(&row.state, id, DOING)?;
    let mut spec: JobSpec = serde_json::from_value(row.spec).map_err(|error| DbError::Unreadable {
        operation: DOING,
        what: format!("job {id}: spec: {error}"),
    })?;
    let scenes = sqlx::query!("SELECT id, version FROM scenes WHERE job_id = $1 ORDER BY index", id)
        .fetch_all(&mut *conn)
        .await
        .doing(DOING)?;
    match state {
        _ if scenes.is_empty() => return Ok(Adding::NoStoryboard),
        _ if spec.music => return Ok(Adding::There),
        JobState::Completed if row.partial => return Ok(Adding::Partial),
        JobState::Pending | JobState::Completed => {}
        other => return Ok(Adding::Refused(other)),
    }
    spec.music = true;
    spec.on_music_failure = wish.on_failure.unwrap_or(spec.on_music_failure);
    spec.music_fade_ms = wish.fade_ms.unwrap_or(spec.music_fade_ms);
    sqlx::query!(
        "UPDATE scenes SET music_prompt = $2, updated_at = now() WHERE job_id = $1 AND $2::text IS NOT NULL",
        id,
        wish.prompt
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    let revision = sqlx::query_scalar!(
        "UPDATE jobs SET spec = $2, parameters = parameters || '{\"music\": true}' WHERE id = $1 RETURNING revision",
        id,
        json!(spec)
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    if state == JobState::Pending {
        progress::refresh(conn, id, "music_planned", &json!({})).await?;
        return Ok(Adding::Planned(spec));
    }
    // What was bought is found by the steps that would buy it; what costs nothing is made again.
    let revision = revision + 1;
    sqlx::query!(
        "UPDATE jobs SET state = 'approved', revision = $2, approved_at = now(), finished_at = NULL, progress_percent = 0, parked = NULL,
                parked_why = NULL, parked_until = NULL, clips_digest = NULL, music_digest = NULL, video_digest = NULL,
                thumbnail_digest = NULL
         WHERE id = $1",
        id,
        revision,
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    progress::refresh(conn, id, "music_added", &json!({"revision": revision})).await?;
    Ok(Adding::Reopened(Reopened {
        revision,
        client_id: row.client_id,
        spec,
        scenes: scenes.into_iter().map(|scene| (scene.id, scene.version)).collect(),
    }))
}

/// Notes what the job is thought to cost now. Its row is locked.
pub async fn price_anew(conn: &mut PgConnection, id: i64, estimate: &Estimate) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE jobs SET estimate = $2, estimate_micros = $3 WHERE id = $1",
        id,
        json!(estimate),
        estimate.total_micros.0
    )
    .execute(conn)
    .await
    .doing("price the job anew")?;
    Ok(())
}

fn parsed(state: &str, id: i64, operation: &'static str) -> Result<JobState, DbError> {
    state
        .parse()
        .map_err(|error: UnknownName| DbError::Unreadable { operation, what: format!("job {id}: {error}") })
}
