//! GET /admin/workers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spool_queue::inspect;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::state::AppState;

/// One live worker process.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerJson {
    /// New with each start of the process.
    pub id: i64,
    pub name: String,
    pub pid: i32,
    pub host: String,
    /// Slots per queue.
    #[schema(value_type = Object)]
    pub slots: serde_json::Value,
    /// Tasks it runs now.
    pub running: i64,
    /// Seconds since its last heartbeat.
    pub heartbeat_age_seconds: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerList {
    pub data: Vec<WorkerJson>,
    pub meta: WorkerMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerMeta {
    pub total: usize,
}

/// Lists the workers that live: those whose lease has not run out.
#[utoipa::path(get, path = "/api/v3/admin/workers", operation_id = "list_workers", tag = "admin",
    responses((status = 200, body = WorkerList)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<WorkerList>, ApiError> {
    let workers = inspect::workers(&mut *state.db.read().await?).await.map_err(ApiError::internal)?;
    let data: Vec<WorkerJson> = workers
        .into_iter()
        .map(|worker| WorkerJson {
            id: worker.id.0,
            name: worker.name,
            pid: worker.pid,
            host: worker.host,
            slots: worker.slots,
            running: worker.running,
            heartbeat_age_seconds: worker.beat_age,
        })
        .collect();
    Ok(Json(WorkerList { meta: WorkerMeta { total: data.len() }, data }))
}
