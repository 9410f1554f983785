//! PATCH /webhooks/endpoints/{id}.

use axum::Json;
use axum::extract::State;
use spool_db::hooks::endpoints::{self, EndpointEdit};
use spool_job::tasks::TaskKind;
use spool_queue::limits::{self, Share};
use uuid::Uuid;

use super::body::{EndpointData, UpdateEndpoint, must_be_public};
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Changes a webhook endpoint. What is on its way to it goes to the new address from the next try on. When it is enabled again, or moves,
/// its failures are forgotten.
#[utoipa::path(patch, path = "/api/v3/webhooks/endpoints/{id}", operation_id = "update_webhook_endpoint", tag = "webhooks",
    params(("id" = Uuid, Path)), request_body = UpdateEndpoint, responses((status = 200, body = EndpointData)))]
pub async fn update(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiJson(body): ApiJson<UpdateEndpoint>,
) -> Result<Json<EndpointData>, ApiError> {
    let (edit, url) = body.check()?;
    if let Some(url) = &url {
        must_be_public(&state, url).await?;
    }
    let mut transaction = state.db.begin().await?;
    let endpoint = endpoints::update(&mut transaction, id, caller.client, &edit).await?;
    let endpoint = endpoint.ok_or_else(|| ApiError::not_found("webhook endpoint", id))?;
    if edit.begins_anew() {
        // While it failed fewer were sent to it at the same time.
        let queue = TaskKind::Deliver.queue();
        let usual = limits::set_share(&mut transaction, queue, &id.to_string(), Share::default()).await;
        usual.map_err(ApiError::internal)?;
    }
    audit::about("changed", changed(&edit));
    commit(transaction).await?;
    Ok(Json(EndpointData { data: endpoint.into() }))
}

/// The names of what changes.
fn changed(edit: &EndpointEdit) -> Vec<&'static str> {
    let fields = [
        ("url", edit.url.is_some()),
        ("description", edit.description.changes()),
        ("event_types", edit.events.is_some()),
        ("enabled", edit.enabled.is_some()),
    ];
    fields.into_iter().filter(|(_, changes)| *changes).map(|(name, _)| name).collect()
}
