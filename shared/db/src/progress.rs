//! Progress, worked out from the rows in the transaction of each change.

use crate::error::{DbError, Doing};
use crate::events;
use serde_json::{Value, json};
use spool_job::progress::{Facts, progress};
use spool_job::state::JobState;
use sqlx::PgConnection;

/// Recomputes percent and stage, raises the version, and appends the event `kind`. The job's row is
/// locked by this transaction. Percent never falls within a revision.
pub async fn refresh(conn: &mut PgConnection, job_id: i64, kind: &str, data: &Value) -> Result<(), DbError> {
    const DOING: &str = "work out the job's progress";
    let row = sqlx::query!(
        r#"SELECT j.state, (j.spec ->> 'music')::boolean AS "music!",
                  j.clips_digest IS NOT NULL AS "stitched!", j.video_digest IS NOT NULL AS "mixed!",
                  j.thumbnail_digest IS NOT NULL AS "verified!",
                  (SELECT count(*) FROM scenes s WHERE s.job_id = j.id) AS "scenes!",
                  (SELECT count(*) FROM scenes s WHERE s.job_id = j.id AND s.state <> 'pending') AS "started!",
                  (SELECT count(*) FROM scenes s WHERE s.job_id = j.id AND s.state IN ('completed', 'failed')) AS "settled!",
                  (SELECT count(*) FROM predictions p JOIN scenes s ON s.id = p.scene_id AND s.version = p.scene_version
                   WHERE p.job_id = j.id AND p.purpose = 'render' AND p.state = 'succeeded') AS "rendered!",
                  (SELECT count(*) FROM predictions p
                   WHERE p.job_id = j.id AND p.purpose = 'music' AND p.output_digest IS NOT NULL) AS "music_done!"
           FROM jobs j WHERE j.id = $1"#,
        job_id
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    let state: JobState = row
        .state
        .parse()
        .map_err(|error| DbError::Unreadable { operation: DOING, what: format!("job {job_id}: {error}") })?;
    let scenes = row.scenes as u32;
    let now = progress(
        state,
        Facts {
            scenes,
            started: row.started as u32,
            rendered: row.rendered as u32,
            settled: row.settled as u32,
            music: if row.music { scenes } else { 0 },
            music_done: row.music_done as u32,
            stitched: row.stitched,
            mixed: row.mixed,
            verified: row.verified,
        },
    );
    let percent = sqlx::query_scalar!(
        "UPDATE jobs SET progress_percent = GREATEST(progress_percent, $2), stage = $3, version = version + 1, updated_at = now()
         WHERE id = $1 RETURNING progress_percent",
        job_id,
        i16::from(now.percent),
        now.stage,
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    let mut event = json!({"state": state.as_str(), "stage": now.stage, "percent": percent});
    if let (Some(event), Value::Object(more)) = (event.as_object_mut(), data) {
        event.extend(more.clone());
    }
    events::append(conn, job_id, kind, &event).await
}
