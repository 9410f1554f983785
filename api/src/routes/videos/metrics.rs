//! GET and PATCH /videos/{job_id}/metrics.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use spool_db::jobs;
use spool_db::video_metrics::{self, VideoMetrics};
use utoipa::ToSchema;

use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::state::AppState;
use crate::validation::Invalid;

/// What is left out stays as it was.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"views": 1200, "clicks": 60, "ctr": 0.05, "conversions": 3}))]
pub struct ReportMetrics {
    #[schema(minimum = 0)]
    pub views: Option<i64>,
    #[schema(minimum = 0)]
    pub clicks: Option<i64>,
    /// Clicks by views, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub ctr: Option<f64>,
    #[schema(minimum = 0)]
    pub conversions: Option<i64>,
}

impl ReportMetrics {
    fn check(self) -> Result<VideoMetrics, ApiError> {
        let mut invalid = Invalid::default();
        for (name, count) in
            [("views", self.views), ("clicks", self.clicks), ("conversions", self.conversions)]
        {
            if count.is_some_and(|count| count < 0) {
                invalid.add(name, "must not be less than 0");
            }
        }
        if self.ctr.is_some_and(|ctr| !(0.0..=1.0).contains(&ctr)) {
            invalid.add("ctr", "must be between 0 and 1");
        }
        invalid.finish()?;
        Ok(VideoMetrics {
            views: self.views,
            clicks: self.clicks,
            ctr: self.ctr,
            conversions: self.conversions,
            updated_at: None,
        })
    }
}

/// How a video did with its audience, as its publisher reported; null is what was never reported.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricsJson {
    pub job_id: i64,
    pub views: Option<i64>,
    pub clicks: Option<i64>,
    /// Clicks by views, 0 to 1: as reported, or else reckoned from the two.
    pub ctr: Option<f64>,
    pub conversions: Option<i64>,
    pub updated_at: Option<DateTime<Utc>>,
}

impl MetricsJson {
    fn of(job_id: i64, row: VideoMetrics) -> Self {
        let reckoned = row
            .views
            .zip(row.clicks)
            .filter(|(views, clicks)| *views > 0 && clicks <= views)
            .map(|(views, clicks)| clicks as f64 / views as f64);
        Self {
            job_id,
            views: row.views,
            clicks: row.clicks,
            ctr: row.ctr.or(reckoned),
            conversions: row.conversions,
            updated_at: row.updated_at,
        }
    }
}

/// Shows how a video did.
#[utoipa::path(get, path = "/api/v3/videos/{job_id}/metrics", operation_id = "show_video_metrics", tag = "videos",
    params(("job_id" = i64, Path)), responses((status = 200, body = MetricsJson)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(job_id): ApiPath<i64>,
) -> Result<Json<MetricsJson>, ApiError> {
    let mut conn = state.db.read().await?;
    jobs::version(&mut conn, job_id, caller.client).await?.ok_or_else(|| unknown(job_id))?;
    Ok(Json(MetricsJson::of(job_id, video_metrics::of_job(&mut conn, job_id).await?)))
}

/// Reports how a video did.
#[utoipa::path(patch, path = "/api/v3/videos/{job_id}/metrics", operation_id = "report_video_metrics", tag = "videos",
    params(("job_id" = i64, Path)), request_body = ReportMetrics, responses((status = 200, body = MetricsJson)))]
pub async fn report(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(job_id): ApiPath<i64>,
    ApiJson(body): ApiJson<ReportMetrics>,
) -> Result<Json<MetricsJson>, ApiError> {
    let new = body.check()?;
    let mut transaction = state.db.begin().await?;
    jobs::version(&mut transaction, job_id, caller.client).await?.ok_or_else(|| unknown(job_id))?;
    let row = match video_metrics::report(&mut transaction, job_id, &new).await {
        // Its job was deleted in between.
        Err(error) if error.is_constraint("video_metrics_job_id_fkey") => {
            return Err(unknown(job_id).with_cause(error));
        }
        other => other?,
    };
    audit::about("job", job_id);
    commit(transaction).await?;
    Ok(Json(MetricsJson::of(job_id, row)))
}

fn unknown(job_id: i64) -> ApiError {
    ApiError::not_found("job", job_id).with("job_id", job_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_reckoned_where_it_is_not_reported() {
        let of = |views, clicks, ctr| {
            MetricsJson::of(1, VideoMetrics { views, clicks, ctr, ..VideoMetrics::default() }).ctr
        };
        assert_eq!(of(Some(200), Some(10), None), Some(0.05));
        assert_eq!(of(Some(200), Some(10), Some(0.2)), Some(0.2));
        assert_eq!(of(Some(0), Some(0), None), None);
        assert_eq!(of(None, Some(3), None), None);
    }
}
