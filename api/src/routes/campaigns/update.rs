//! PATCH and PUT /campaigns/{id}: both change only what is given.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use spool_db::campaigns::{self, CampaignEdit};
use spool_db::edit::Edit;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{Brief, CampaignData};
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::routes::clients::body::{LONGEST_TEXT, LONGEST_URL};
use crate::state::AppState;
use crate::validation::Invalid;

/// What is left out stays as it is; null empties it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"status": "active", "brief": {"tone": "warm"}}))]
pub struct UpdateCampaign {
    #[schema(value_type = String, required = false, min_length = 1, max_length = 255)]
    #[serde(default)]
    pub name: Edit<String>,
    /// May be repeated, but a campaign stays with its client.
    pub client_id: Option<Uuid>,
    /// A text or an object.
    #[schema(value_type = Option<Brief>)]
    #[serde(default)]
    pub brief: Edit<Value>,
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub goal: Edit<String>,
    /// A word of your own, such as `draft` or `active`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub status: Edit<String>,
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub product_url: Edit<String>,
    /// A JSON object of your own, all of it anew.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    pub metadata: Edit<Value>,
}

impl UpdateCampaign {
    fn check(self) -> Result<CampaignEdit, ApiError> {
        let mut invalid = Invalid::default();
        if !matches!(self.brief, Edit::Keep | Edit::Clear | Edit::Set(Value::String(_) | Value::Object(_))) {
            invalid.add("brief", "must be a text or an object");
        }
        let edit = CampaignEdit {
            name: invalid.kept_text("name", self.name, 255),
            brief: self.brief,
            goal: invalid.edited_text("goal", self.goal, LONGEST_TEXT),
            status: invalid.edited_text("status", self.status, 255),
            product_url: invalid.edited_text("product_url", self.product_url, LONGEST_URL),
            metadata: invalid.edited_object("metadata", self.metadata),
        };
        invalid.finish()?;
        Ok(edit)
    }
}

/// Changes a campaign.
#[utoipa::path(patch, path = "/api/v3/campaigns/{id}", operation_id = "update_campaign", tag = "campaigns",
    params(("id" = Uuid, Path)), request_body = UpdateCampaign, responses((status = 200, body = CampaignData)))]
pub async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiJson(body): ApiJson<UpdateCampaign>,
) -> Result<Json<CampaignData>, ApiError> {
    let client_id = body.client_id;
    let edit = body.check()?;
    let mut transaction = state.db.begin().await?;
    let campaign = campaigns::update(&mut transaction, id, caller.client, &edit).await?;
    let campaign = campaign.ok_or_else(|| ApiError::not_found("campaign", id))?;
    if client_id.is_some_and(|named| named != campaign.client_id) {
        return Err(Invalid::only("client_id", "cannot be changed: a campaign stays with its client"));
    }
    audit::about("changed", changed(&edit));
    commit(transaction).await?;
    Ok(Json(CampaignData { data: campaign.into() }))
}

/// Changes a campaign: the same as PATCH, as older callers use it.
#[utoipa::path(put, path = "/api/v3/campaigns/{id}", operation_id = "put_campaign", tag = "campaigns",
    params(("id" = Uuid, Path)), request_body = UpdateCampaign, responses((status = 200, body = CampaignData)))]
pub async fn put(
    state: State<AppState>,
    caller: Caller,
    id: ApiPath<Uuid>,
    body: ApiJson<UpdateCampaign>,
) -> Result<Json<CampaignData>, ApiError> {
    patch(state, caller, id, body).await
}

/// The names of what changes.
fn changed(edit: &CampaignEdit) -> Vec<&'static str> {
    let fields = [
        ("name", edit.name.is_some()),
        ("brief", edit.brief.changes()),
        ("goal", edit.goal.changes()),
        ("status", edit.status.changes()),
        ("product_url", edit.product_url.changes()),
        ("metadata", edit.metadata.is_some()),
    ];
    fields.into_iter().filter(|(_, changes)| *changes).map(|(name, _)| name).collect()
}
