//! Webhooks to callers, as their routes make and send them.

use secrecy::SecretString;
use spool_db::hooks::endpoints::Sealed;
use spool_job::tasks::{DeliverTask, PAYLOAD_VERSION, TaskKind, hook_group_key};
use spool_provider::hook_secret::SALT_BYTES;
use spool_queue::control::{self, Wake};
use spool_queue::{Batch, Bell, NewTask};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{ApiError, Code};
use crate::state::AppState;

/// A new secret, and what is kept of it.
pub fn new_secret(state: &AppState) -> (SecretString, Sealed) {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt);
    let (secret, digest) = state.hook_secrets.make(&salt);
    (secret, Sealed { salt: salt.to_vec(), digest })
}

/// Sees to it that these deliveries of an endpoint are sent now. Their rows are locked, or nobody else knows them yet. The caller
/// commits, then rings.
pub async fn send_now(
    conn: &mut PgConnection,
    endpoint: Uuid,
    deliveries: &[Uuid],
) -> Result<Bell, ApiError> {
    if deliveries.is_empty() {
        return Ok(Bell::silent());
    }
    let mut batch = Batch::new();
    for delivery_id in deliveries {
        let payload = DeliverTask { delivery_id: *delivery_id };
        batch.add(
            NewTask::new(TaskKind::Deliver.as_str(), TaskKind::Deliver.queue(), PAYLOAD_VERSION, &payload)
                .unique_key(delivery_id.to_string())
                .group_key(hook_group_key(endpoint))
                .share_key(endpoint.to_string()),
        );
    }
    let enqueued = batch.insert(conn).await.map_err(ApiError::internal)?;
    let waiting: Vec<_> = enqueued.existing.iter().map(|slot| enqueued.id(*slot)).collect();
    let mut bell = enqueued.bell;
    // Those that have a task wait for their next try.
    for task in waiting {
        let woken = control::wake(conn, task).await.map_err(ApiError::internal)?;
        bell.merge(woken.bell);
        if woken.effect == Wake::NotWaiting {
            bell.merge(control::run_now(conn, task).await.map_err(ApiError::internal)?.bell);
        }
    }
    Ok(bell)
}

/// Nothing is sent to an endpoint that is disabled.
pub fn disabled(endpoint: Uuid) -> ApiError {
    let why = format!("webhook endpoint {endpoint} is disabled; set `enabled` to true first");
    ApiError::conflict(Code::EndpointDisabled, why)
}
