//! PATCH and PUT /clients/{id}: both change only what is given.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use spool_db::clients::{self, ClientEdit};
use spool_db::edit::Edit;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{ClientData, LONGEST_TEXT, LONGEST_URL};
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::state::AppState;
use crate::validation::Invalid;

/// What is left out stays as it is; null empties it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"homepage": "https://lodges.example", "description": null}))]
pub struct UpdateClient {
    #[schema(value_type = String, required = false, min_length = 1, max_length = 255)]
    #[serde(default)]
    pub name: Edit<String>,
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub description: Edit<String>,
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub homepage: Edit<String>,
    /// A JSON object of your own, all of it anew.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    pub metadata: Edit<Value>,
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub brand_guidelines: Edit<String>,
}

impl UpdateClient {
    fn check(self) -> Result<ClientEdit, ApiError> {
        let mut invalid = Invalid::default();
        let edit = ClientEdit {
            name: invalid.kept_text("name", self.name, 255),
            description: invalid.edited_text("description", self.description, LONGEST_TEXT),
            homepage: invalid.edited_text("homepage", self.homepage, LONGEST_URL),
            metadata: invalid.edited_object("metadata", self.metadata),
            brand_guidelines: invalid.edited_text("brand_guidelines", self.brand_guidelines, LONGEST_TEXT),
        };
        invalid.finish()?;
        Ok(edit)
    }
}

/// Changes a client.
#[utoipa::path(patch, path = "/api/v3/clients/{id}", operation_id = "update_client", tag = "clients",
    params(("id" = Uuid, Path)), request_body = UpdateClient, responses((status = 200, body = ClientData)))]
pub async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiJson(body): ApiJson<UpdateClient>,
) -> Result<Json<ClientData>, ApiError> {
    let edit = body.check()?;
    let mut transaction = state.db.begin().await?;
    let client = clients::update(&mut transaction, id, caller.client, &edit).await?;
    let client = client.ok_or_else(|| ApiError::not_found("client", id))?;
    audit::about("changed", changed(&edit));
    commit(transaction).await?;
    Ok(Json(ClientData { data: client.into() }))
}

/// Changes a client: the same as PATCH, as older callers use it.
#[utoipa::path(put, path = "/api/v3/clients/{id}", operation_id = "put_client", tag = "clients",
    params(("id" = Uuid, Path)), request_body = UpdateClient, responses((status = 200, body = ClientData)))]
pub async fn put(
    state: State<AppState>,
    caller: Caller,
    id: ApiPath<Uuid>,
    body: ApiJson<UpdateClient>,
) -> Result<Json<ClientData>, ApiError> {
    patch(state, caller, id, body).await
}

/// The names of what changes.
fn changed(edit: &ClientEdit) -> Vec<&'static str> {
    let fields = [
        ("name", edit.name.is_some()),
        ("description", edit.description.changes()),
        ("homepage", edit.homepage.changes()),
        ("metadata", edit.metadata.is_some()),
        ("brand_guidelines", edit.brand_guidelines.changes()),
    ];
    fields.into_iter().filter(|(_, changes)| *changes).map(|(name, _)| name).collect()
}
