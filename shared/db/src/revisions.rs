//! A job that ended without a video is opened again as a new revision: what was bought is kept, what is missing is bought.

use crate::error::{DbError, Doing};
use crate::progress;
use crate::storyboard::{self, SceneEdit};
use chrono::{DateTime, Utc};
use serde_json::json;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::spec::JobSpec;
use spool_job::state::{JobState, UnknownName};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

/// What became of an attempt to open a job again.
#[derive(Debug)]
pub enum Reopening {
    /// It is approved as a new revision; insert the DAG in the same transaction.
    Reopened(Reopened),
    /// It failed, was canceled or is completed, and cannot be tried again.
    Refused(JobState),
    /// It has not ended: there is nothing to try again yet.
    Running(JobState),
    /// There is no such job (for this owner).
    Unknown,
}

/// What the DAG of the new revision is made from.
#[derive(Debug)]
pub struct Reopened {
    /// The new one.
    pub revision: i32,
    /// Whose it is: the key that the queue shares its workers fairly by.
    pub client_id: Option<Uuid>,
    /// What to make.
    pub spec: JobSpec,
    /// Scene ids and versions in order.
    pub scenes: Vec<(Uuid, i32)>,
}

/// Opens a failed or canceled job that had once been approved. The caller inserts the DAG before it commits. A second call finds
/// it approved.
pub async fn reopen(conn: &mut PgConnection, id: i64, owner: Option<Uuid>) -> Result<Reopening, DbError> {
    open(conn, id, owner, None).await
}

/// Opens a job that has ended, with or without a video, to make a new clip of one of its scenes. The caller has looked that the
/// scene is of this job, and inserts the DAG before it commits.
pub async fn regenerate(
    conn: &mut PgConnection,
    id: i64,
    owner: Option<Uuid>,
    scene: Uuid,
    new: &SceneEdit,
) -> Result<Reopening, DbError> {
    open(conn, id, owner, Some((scene, new))).await
}

async fn open(
    conn: &mut PgConnection,
    id: i64,
    owner: Option<Uuid>,
    renewed: Option<(Uuid, &SceneEdit)>,
) -> Result<Reopening, DbError> {
    const DOING: &str = "open the job again";
    let Some(row) = sqlx::query!(
        r#"SELECT state, revision, client_id, spec, approved_at IS NOT NULL AS "was_approved!" FROM jobs
           WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2) FOR UPDATE"#,
        id,
        owner,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    else {
        return Ok(Reopening::Unknown);
    };
    let unreadable =
        |what: String| DbError::Unreadable { operation: DOING, what: format!("job {id}: {what}") };
    let state: JobState = row.state.parse().map_err(|error: UnknownName| unreadable(error.to_string()))?;
    if !state.is_final() {
        return Ok(Reopening::Running(state));
    }
    if (state == JobState::Completed && renewed.is_none()) || !row.was_approved {
        return Ok(Reopening::Refused(state));
    }
    let spec = serde_json::from_value(row.spec).map_err(|error| unreadable(format!("spec: {error}")))?;
    // Everything that costs nothing is made again; percent begins anew with the revision.
    let revision = sqlx::query_scalar!(
        "UPDATE jobs SET state = 'approved', revision = revision + 1, approved_at = now(), finished_at = NULL, error_code = NULL,
                error = NULL, progress_percent = 0, partial = false, parked = NULL, parked_why = NULL, parked_until = NULL,
                cancel_requested_at = NULL, cancel_requested_by = NULL,
                clips_digest = NULL, music_digest = NULL, video_digest = NULL, thumbnail_digest = NULL
         WHERE id = $1 RETURNING revision",
        id
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    if let Some((scene, new)) = renewed {
        storyboard::renew(conn, scene, new).await?;
    }
    open_scenes(conn, id).await?;
    let scenes = sqlx::query!("SELECT id, version FROM scenes WHERE job_id = $1 ORDER BY index", id)
        .fetch_all(&mut *conn)
        .await
        .doing(DOING)?;
    let (kind, scene) = renewed.map_or(("retried", None), |(scene, _)| ("regenerated", Some(scene)));
    progress::refresh(conn, id, kind, &json!({"revision": revision, "scene_id": scene})).await?;
    Ok(Reopening::Reopened(Reopened {
        revision,
        client_id: row.client_id,
        spec,
        scenes: scenes.into_iter().map(|scene| (scene.id, scene.version)).collect(),
    }))
}

/// Scenes without a clip begin again, and so does music that was lost.
pub(crate) async fn open_scenes(conn: &mut PgConnection, id: i64) -> Result<(), DbError> {
    const DOING: &str = "open the scenes again";
    // Where the provider has removed what was bought before anybody fetched it, another is bought: under a new version, for the old
    // one is paid for.
    sqlx::query!(
        "UPDATE scenes s SET state = 'pending', error = NULL, updated_at = now(), version = version + (
             SELECT count(*)::integer FROM predictions p
             WHERE p.job_id = s.job_id AND p.scene_id = s.id AND p.scene_version = s.version AND p.state = 'succeeded'
               AND p.output_digest IS NULL AND (p.output_lost_at IS NOT NULL OR COALESCE(p.output_gone_at, p.finished_at + interval '1 hour') < now()))
         WHERE job_id = $1 AND state <> 'completed'",
        id
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    // Music has no versions: what is lost gives its place up.
    sqlx::query!(
        "UPDATE predictions SET output_lost_at = now()
         WHERE job_id = $1 AND purpose = 'music' AND state = 'succeeded' AND output_digest IS NULL AND output_lost_at IS NULL
           AND COALESCE(output_gone_at, finished_at + interval '1 hour') < now()",
        id
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    Ok(())
}

/// A purchase that fills its slot, so that the slot is not paid for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// A clip or a stretch of music.
    pub purpose: Purpose,
    /// For clips: the scene and its version.
    pub scene: Option<(Uuid, i32)>,
    /// For music: the stretch.
    pub ordinal: i32,
    /// Succeeded, or still under way.
    pub state: PredictionState,
    /// What it cost, or what is held for it.
    pub micros: Micros,
}

/// What a job has bought or is buying: none of it would be bought again.
pub async fn kept(conn: &mut PgConnection, job_id: i64) -> Result<Vec<Kept>, DbError> {
    const DOING: &str = "read what a job has bought";
    let rows = sqlx::query!(
        r#"SELECT purpose, scene_id, scene_version, ordinal, state, COALESCE(cost_micros, estimate_micros) AS "micros!"
           FROM predictions WHERE job_id = $1 AND state IN ('intent', 'submitted', 'unknown', 'in_doubt', 'succeeded')
             AND NOT (purpose = 'music' AND output_lost_at IS NOT NULL)"#,
        job_id
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    rows.into_iter()
        .map(|row| {
            let unreadable = |error: UnknownName| DbError::Unreadable {
                operation: DOING,
                what: format!("job {job_id}: {error}"),
            };
            Ok(Kept {
                purpose: row.purpose.parse().map_err(unreadable)?,
                scene: row.scene_id.zip(row.scene_version),
                ordinal: row.ordinal,
                state: row.state.parse().map_err(unreadable)?,
                micros: Micros(row.micros),
            })
        })
        .collect()
}

/// Which dead jobs.
#[derive(Debug, Clone, Default)]
pub struct Dead {
    /// Only those of this client.
    pub client: Option<Uuid>,
    /// Only those of this campaign.
    pub campaign: Option<Uuid>,
    /// `failed` unless told otherwise.
    pub canceled: bool,
    /// Only those that failed with this code.
    pub error_code: Option<String>,
    /// Only those that ended at or after this.
    pub from: Option<DateTime<Utc>>,
    /// Only those that ended before this.
    pub to: Option<DateTime<Utc>>,
}

/// Jobs that could be tried again, the longest dead first, at most `limit` of them, and how many there are in all.
pub async fn dead(conn: &mut PgConnection, which: &Dead, limit: i64) -> Result<(Vec<i64>, i64), DbError> {
    const DOING: &str = "list the jobs to try again";
    let mut list = QueryBuilder::new("SELECT id FROM jobs");
    push_where(&mut list, which);
    list.push(" ORDER BY finished_at, id LIMIT ").push_bind(limit);
    let ids = list.build_query_scalar().fetch_all(&mut *conn).await.doing(DOING)?;
    let mut count = QueryBuilder::new("SELECT count(*) FROM jobs");
    push_where(&mut count, which);
    let all = count.build_query_scalar().fetch_one(conn).await.doing(DOING)?;
    Ok((ids, all))
}

fn push_where(query: &mut QueryBuilder<Postgres>, which: &Dead) {
    let state = if which.canceled { JobState::Canceled } else { JobState::Failed };
    query
        .push(" WHERE approved_at IS NOT NULL AND deleted_at IS NULL AND state = ")
        .push_bind(state.as_str());
    if let Some(client) = which.client {
        query.push(" AND client_id = ").push_bind(client);
    }
    if let Some(campaign) = which.campaign {
        query.push(" AND campaign_id = ").push_bind(campaign);
    }
    if let Some(code) = &which.error_code {
        query.push(" AND error_code = ").push_bind(code.clone());
    }
    if let Some(from) = which.from {
        query.push(" AND finished_at >= ").push_bind(from);
    }
    if let Some(to) = which.to {
        query.push(" AND finished_at < ").push_bind(to);
    }
}
