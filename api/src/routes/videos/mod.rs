//! `/videos/{job_id}`: finished videos, by key or by signed link.

pub mod clip;
pub mod clip_thumbnail;
pub mod combined;
pub mod gallery;
pub mod metrics;
pub mod thumbnail;

use spool_db::jobs::{self, JobRow};
use spool_db::media::{self, MediaRow};
use spool_job::state::JobState;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::state::AppState;

/// A completed job and one of its files. Before it is completed there is no video, whatever lies in the store.
async fn completed(
    state: &AppState,
    caller: &Caller,
    job_id: i64,
    digest: fn(&JobRow) -> Option<&String>,
) -> Result<(JobRow, MediaRow), ApiError> {
    let unknown = || ApiError::not_found("video of job", job_id).with("job_id", job_id);
    let mut conn = state.db.read().await?;
    let job = jobs::show(&mut conn, job_id, caller.client).await?.ok_or_else(unknown)?;
    let digest = digest(&job).filter(|_| job.state == JobState::Completed).cloned().ok_or_else(unknown)?;
    let media = media::get(&mut conn, &digest).await?.ok_or_else(unknown)?;
    Ok((job, media))
}
