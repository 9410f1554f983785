//! How a video did with its audience, as its publisher reports it.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// What was reported; none: not yet.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VideoMetrics {
    /// Times it was seen.
    pub views: Option<i64>,
    /// Clicks on what it advertises.
    pub clicks: Option<i64>,
    /// Clicks by views, 0 to 1, as the publisher reckons.
    pub ctr: Option<f64>,
    /// What those led to.
    pub conversions: Option<i64>,
    /// When something was last reported.
    pub updated_at: Option<DateTime<Utc>>,
}

/// Of a job's video.
pub async fn of_job(conn: &mut PgConnection, job_id: i64) -> Result<VideoMetrics, DbError> {
    let row = sqlx::query_as!(
        VideoMetrics,
        r#"SELECT views, clicks, ctr, conversions, updated_at AS "updated_at?" FROM video_metrics WHERE job_id = $1"#,
        job_id
    )
    .fetch_optional(conn)
    .await
    .doing("read how the video did")?;
    Ok(row.unwrap_or_default())
}

/// Takes over what is given and leaves the rest. The job must be there.
pub async fn report(
    conn: &mut PgConnection,
    job_id: i64,
    new: &VideoMetrics,
) -> Result<VideoMetrics, DbError> {
    sqlx::query_as!(
        VideoMetrics,
        r#"INSERT INTO video_metrics AS old (job_id, views, clicks, ctr, conversions) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (job_id) DO UPDATE SET views = COALESCE($2, old.views), clicks = COALESCE($3, old.clicks),
               ctr = COALESCE($4, old.ctr), conversions = COALESCE($5, old.conversions), updated_at = now()
           RETURNING views, clicks, ctr, conversions, updated_at AS "updated_at?""#,
        job_id,
        new.views,
        new.clicks,
        new.ctr,
        new.conversions,
    )
    .fetch_one(conn)
    .await
    .doing("note how the video did")
}
