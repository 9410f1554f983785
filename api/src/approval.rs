//! Approving a job: its state and its whole DAG of tasks change in the caller's transaction.

use spool_db::jobs::{self, Approval};
use spool_db::origins;
use spool_db::revisions::Reopened;
use spool_job::tasks::{self, Approved, OnFailure as Edge, PAYLOAD_VERSION};
use spool_queue::{Batch, Bell, NewTask, OnFailure};
use spool_telemetry::traces::{self, Kind};
use sqlx::PgConnection;
use tracing::Instrument;
use uuid::Uuid;

use crate::error::{ApiError, Code};
use crate::origin;

/// Approves and enqueues. The caller commits, then rings.
pub async fn approve(conn: &mut PgConnection, job_id: i64, owner: Option<Uuid>) -> Result<Bell, ApiError> {
    let (revision, client, spec, scenes) = match jobs::approve(conn, job_id, owner).await? {
        Approval::Approved { revision, client_id, spec, scenes } => (revision, client_id, spec, scenes),
        Approval::Unknown => return Err(ApiError::not_found("job", job_id).with("job_id", job_id)),
        Approval::NotPending(state) => {
            let why = format!("job {job_id} is {state}; only a pending job can be approved");
            return Err(ApiError::unprocessable(Code::NotPending, why.clone())
                .with("job_id", job_id)
                .with("current_status", state.as_str())
                .with("reason", why));
        }
    };
    enqueue(conn, job_id, Reopened { revision, client_id: client, spec, scenes }).await
}

/// Enqueues the whole DAG of a revision of a job, on behalf of the request that is answered.
pub async fn enqueue(conn: &mut PgConnection, job_id: i64, of: Reopened) -> Result<Bell, ApiError> {
    let span = traces::child(Kind::Producer, "enqueue");
    traces::note(&span, "job_id", job_id);
    insert(conn, job_id, of).instrument(span).await
}

/// In the span under which all work of the revision belongs.
async fn insert(conn: &mut PgConnection, job_id: i64, of: Reopened) -> Result<Bell, ApiError> {
    let origin = origin::current();
    if let Some(earlier) = origins::note(conn, job_id, origin.as_ref()).await? {
        traces::link(&tracing::Span::current(), &earlier);
    }
    let plan = tasks::plan(&Approved {
        job_id,
        revision: of.revision,
        scenes: &of.scenes,
        music: of.spec.music,
        on_scene_failure: of.spec.on_scene_failure,
        on_music_failure: of.spec.on_music_failure,
        origin: origin.as_ref(),
    });
    let mut batch = Batch::new();
    let mut refs = Vec::with_capacity(plan.len());
    for task in &plan {
        let mut new = NewTask::new(task.kind.as_str(), task.kind.queue(), PAYLOAD_VERSION, &task.payload)
            .unique_key(&task.key)
            .group_key(tasks::group_key(job_id));
        // Tasks are shared out fairly between clients.
        if let Some(client) = of.client_id {
            new = new.share_key(client.to_string());
        }
        let this = batch.add(new);
        for (parent, policy) in &task.after {
            let policy = match policy {
                Edge::Cancel => OnFailure::Cancel,
                Edge::Run => OnFailure::Run,
            };
            batch.after(this, refs[*parent], policy);
        }
        refs.push(this);
    }
    let enqueued = batch.insert(conn).await.map_err(ApiError::internal)?;
    Ok(enqueued.bell)
}
