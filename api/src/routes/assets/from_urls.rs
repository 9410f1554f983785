//! POST /assets/from-urls.

use std::pin::pin;

use axum::Json;
use axum::extract::State;
use futures::{StreamExt, stream};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::AssetJson;
use super::fields::{Fields, Said, no_source, owner_of};
use super::upload::AssetFromUrl;
use crate::asset_intake::{self, Source};
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::casing;
use crate::extract::json::ApiJson;
use crate::state::AppState;
use crate::validation::Invalid;

/// Most addresses of one request.
const MOST_ITEMS: usize = 100;
/// So many are fetched at the same time.
const AT_ONCE: usize = 4;
/// The names that the list may have.
const LISTS: [&str; 4] = ["assets", "items", "requests", "sources"];
/// What may stand beside the list, for all items that do not say it themselves.
const FOR_ALL: [&str; 2] = ["campaign_id", "client_id"];

/// Addresses to fetch. Only a description: the list may also be called `items`, `requests` or `sources`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"campaign_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", "assets": [
    {"source_url": "https://photos.example/lodge.jpg", "tags": ["exterior"]}, {"source_url": "https://photos.example/bath.jpg"}]}))]
pub struct AssetsFromUrls {
    /// 1 to 100 of them.
    #[schema(min_items = 1, max_items = 100)]
    pub assets: Vec<AssetFromUrl>,
    /// For all of them that do not name one.
    pub campaign_id: Option<Uuid>,
    /// For all of them that do not name one.
    pub client_id: Option<Uuid>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedAssets {
    /// Those that were stored, in the order of the request.
    pub data: Vec<AssetJson>,
    pub meta: CreatedAssetsMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedAssetsMeta {
    pub created: usize,
    pub failed: usize,
    pub errors: Vec<FailedAsset>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FailedAsset {
    /// Place in the request, from 0.
    pub index: usize,
    /// The address, as given.
    pub source: Option<String>,
    pub error: String,
    pub code: Code,
}

/// Stores assets from several addresses. Each is taken or refused by itself: the answer says which, and is 201 even if all failed.
#[utoipa::path(post, path = "/api/v3/assets/from-urls", operation_id = "create_assets_from_urls", tag = "assets",
    request_body = AssetsFromUrls, responses((status = 201, body = CreatedAssets)))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<Map<String, Value>>,
) -> Result<(StatusCode, Json<CreatedAssets>), ApiError> {
    let items = items(&body)?;
    let mut wishes = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        wishes.push((index, address(&item), wish(&state, &caller, item).await));
    }
    let state = &state;
    let fetched = |(index, source, wish)| async move {
        let taken = match wish {
            Ok((said, owner, url)) => asset_intake::take(state, said, owner, Source::Url(url)).await,
            Err(error) => Err(error),
        };
        (index, source, taken)
    };
    let total = wishes.len();
    let mut taken = pin!(stream::iter(wishes.into_iter().map(fetched)).buffer_unordered(AT_ONCE));
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    // A slow address holds up none that comes after it, and yet all are written in the order of the request, in which they are shown.
    let mut early: Vec<Option<_>> = (0..total).map(|_| None).collect();
    let mut written = 0;
    // Fetched side by side, without the database: who writes here must not wait for a connection that a halted fetch holds.
    while let Some((index, source, taken)) = taken.next().await {
        early[index] = Some((source, taken));
        while let Some((source, taken)) = early.get_mut(written).and_then(Option::take) {
            let created = match taken {
                Ok(taken) => taken.create(state).await,
                Err(error) => Err(error),
            };
            match created {
                Ok(asset) => data.push(asset),
                Err(error) => errors.push(FailedAsset {
                    index: written,
                    source,
                    error: error.detail().to_owned(),
                    code: error.code(),
                }),
            }
            written += 1;
        }
    }
    let meta = CreatedAssetsMeta { created: data.len(), failed: errors.len(), errors };
    Ok((StatusCode::CREATED, Json(CreatedAssets { data, meta })))
}

/// The list under whichever name, each item with what is said for all.
fn items(body: &Map<String, Value>) -> Result<Vec<Value>, ApiError> {
    let list = LISTS.iter().filter_map(|name| body.get(*name)).find(|list| !list.is_null());
    let empty = || ApiError::bad_request(Code::NoSource, "assets is empty: name at least one address");
    let list = match list {
        None => return Err(empty()),
        Some(Value::Array(list)) if list.is_empty() => return Err(empty()),
        Some(Value::Array(list)) => list.clone(),
        Some(_) => return Err(Invalid::only("assets", "must be a list")),
    };
    if list.len() > MOST_ITEMS {
        return Err(Invalid::only("assets", format!("should have at most {MOST_ITEMS} items")));
    }
    let with_all = |item: Value| {
        let mut item = match item {
            // Only an address.
            Value::String(url) => Map::from_iter([("source_url".to_owned(), Value::String(url))]),
            Value::Object(item) => casing::snake_keys(item),
            other => return other,
        };
        // An item that names an owner itself takes none of those that stand for all.
        if !FOR_ALL.iter().any(|name| item.get(*name).is_some_and(|id| !id.is_null())) {
            let all = FOR_ALL.iter().filter_map(|name| Some(((*name).to_owned(), body.get(*name)?.clone())));
            item.extend(all);
        }
        Value::Object(item)
    };
    Ok(list.into_iter().map(with_all).collect())
}

fn address(item: &Value) -> Option<String> {
    let named = ["source_url", "url"].iter().find_map(|name| item.get(*name));
    named.and_then(Value::as_str).map(str::to_owned)
}

async fn wish(state: &AppState, caller: &Caller, item: Value) -> Result<(Said, Option<Uuid>, Url), ApiError> {
    let Value::Object(item) = item else {
        return Err(Invalid::only("assets", "must hold objects or addresses"));
    };
    let fields = Fields::of(item);
    let url = fields.source_url()?.ok_or_else(no_source)?;
    let said = fields.parse()?;
    let owner = owner_of(state, caller, &said).await?;
    Ok((said, owner, url))
}
