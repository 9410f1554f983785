//! Calling a job off: its tasks are canceled and what is bought is handed to `recall`, in the caller's transaction.

use spool_db::cancellation::{self, Cancellation};
use spool_db::predictions;
use spool_job::tasks::{JobTask, PAYLOAD_VERSION, RecallTask, TaskKind, group_key};
use spool_queue::{Batch, Bell, NewTask, TaskId, control, inspect};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::ApiError;
use crate::origin;

/// Tasks that bring home what is paid for, wind up what is not wanted, and conclude the job. They go on.
const SPARED: [TaskKind; 3] = [TaskKind::Collect, TaskKind::Recall, TaskKind::Close];

/// Calls a job off. The caller commits, then rings.
pub async fn cancel(
    conn: &mut PgConnection,
    job_id: i64,
    owner: Option<Uuid>,
    by: &str,
) -> Result<(Cancellation, Bell), ApiError> {
    let done = cancellation::request(conn, job_id, owner, by).await?;
    if !matches!(done, Cancellation::Requested { .. }) {
        return Ok((done, Bell::silent()));
    }
    let mut recalls = Batch::new();
    for prediction_id in predictions::open_of_job(conn, job_id).await? {
        let payload = RecallTask { job_id, prediction_id, origin: origin::current() };
        recalls.add(
            NewTask::new(TaskKind::Recall.as_str(), TaskKind::Recall.queue(), PAYLOAD_VERSION, &payload)
                .group_key(group_key(job_id))
                .unique_key(prediction_id.to_string()),
        );
    }
    let mut bell = Bell::silent();
    if !recalls.is_empty() {
        bell.merge(recalls.insert(conn).await.map_err(ApiError::internal)?.bell);
    }
    let tasks = inspect::tasks_of_group(conn, &group_key(job_id)).await.map_err(ApiError::internal)?;
    // Whatever became of it before: somebody has to conclude the job.
    if !tasks.iter().any(|task| task.kind == TaskKind::Close.as_str() && !task.state.is_final()) {
        let close = NewTask::new(
            TaskKind::Close.as_str(),
            TaskKind::Close.queue(),
            PAYLOAD_VERSION,
            &JobTask { job_id, origin: origin::current() },
        );
        let close = close.group_key(group_key(job_id)).unique_key(format!("{}/close", group_key(job_id)));
        bell.merge(close.enqueue(conn).await.map_err(ApiError::internal)?.bell);
    }
    let spared = |kind: &str| SPARED.iter().any(|spared| spared.as_str() == kind);
    let unwanted: Vec<TaskId> = tasks
        .iter()
        .filter(|task| !task.state.is_final() && !spared(&task.kind))
        .map(|task| task.id)
        .collect();
    let canceled = control::cancel_tasks(conn, &unwanted, "the job was called off").await;
    bell.merge(canceled.map_err(ApiError::internal)?.bell);
    Ok((done, bell))
}
