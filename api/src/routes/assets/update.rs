//! PATCH /assets/{id}.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};
use spool_db::asset_changes::{self, AssetEdit};
use spool_db::assets::{self, Asset};
use spool_db::edit::Edit;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{AssetData, AssetJson};
use super::fields::{Fields, clean_name};
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::routes::clients::body::LONGEST_TEXT;
use crate::state::AppState;
use crate::validation::Invalid;

/// What is left out stays as it is. Only a description: `fields` reads it, with all its synonyms.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"name": "Terrace at sunset", "tags": ["terrace", "sunset"]}))]
pub struct UpdateAsset {
    #[schema(min_length = 1, max_length = 255)]
    pub name: Option<String>,
    /// Null empties it. Also `caption`.
    pub description: Option<String>,
    /// All of them anew: a list, or words between commas. Also `tag_list`.
    pub tags: Option<Vec<String>>,
    /// A JSON object of your own, all of it anew. Also `meta`.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// May be repeated, but an asset stays where it is.
    pub campaign_id: Option<Uuid>,
    /// May be repeated, but an asset stays where it is.
    pub client_id: Option<Uuid>,
}

/// Changes what is said about an asset. Its bytes never change.
#[utoipa::path(patch, path = "/api/v3/assets/{id}", operation_id = "update_asset", tag = "assets",
    params(("id" = Uuid, Path)), request_body = UpdateAsset, responses((status = 200, body = AssetData)))]
pub async fn update(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiJson(body): ApiJson<Map<String, Value>>,
) -> Result<Json<AssetData>, ApiError> {
    let fields = Fields::of(body);
    let unknown = || ApiError::not_found("asset", id);
    let mut transaction = state.db.begin().await?;
    let before = assets::find(&mut transaction, id, caller.client).await?.ok_or_else(unknown)?;
    let edit = edit(&fields, &before)?;
    if !asset_changes::update(&mut transaction, id, caller.client, &edit).await? {
        return Err(unknown());
    }
    let asset = assets::find(&mut transaction, id, caller.client).await?.ok_or_else(unknown)?;
    audit::about("changed", changed(&edit));
    commit(transaction).await?;
    Ok(Json(AssetData { data: AssetJson::of(asset, &state.links, state.clock.now()) }))
}

fn edit(fields: &Fields, before: &Asset) -> Result<AssetEdit, ApiError> {
    let mut invalid = Invalid::default();
    for (name, now) in [("campaign_id", before.campaign_id), ("client_id", before.client_id)] {
        if fields.id(name, &mut invalid).is_some_and(|given| Some(given) != now) {
            invalid.add(name, "cannot be changed: an asset stays where it is");
        }
    }
    let name = fields.names(&["name"]).then(|| fields.text(&["name"], 255, &mut invalid));
    let name = name.map(|name| clean_name(&name.unwrap_or_default()));
    if name.as_ref().is_some_and(String::is_empty) {
        invalid.add("name", "can't be blank");
    }
    let described = ["description", "caption"];
    let description = if fields.names(&described) {
        fields.text(&described, LONGEST_TEXT, &mut invalid).map_or(Edit::Clear, Edit::Set)
    } else {
        Edit::Keep
    };
    let edit = AssetEdit {
        name,
        description,
        tags: fields.names(&["tags", "tag_list"]).then(|| fields.tags(&mut invalid)),
        metadata: fields.names(&["metadata", "meta"]).then(|| fields.metadata(&mut invalid)),
    };
    invalid.finish()?;
    Ok(edit)
}

/// The names of what changes.
fn changed(edit: &AssetEdit) -> Vec<&'static str> {
    let fields = [
        ("name", edit.name.is_some()),
        ("description", edit.description.changes()),
        ("tags", edit.tags.is_some()),
        ("metadata", edit.metadata.is_some()),
    ];
    fields.into_iter().filter(|(_, changes)| *changes).map(|(name, _)| name).collect()
}
