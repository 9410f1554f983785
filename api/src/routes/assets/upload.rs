//! POST /assets: a file in a form, or an address in JSON.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Multipart, Request, State};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{AssetData, AssetJson};
use super::fields::{Fields, no_source, owner_of};
use crate::asset_intake::{self, Source};
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::json;
use crate::limits::MOST_JSON_BYTES;
use crate::receive;
use crate::state::AppState;

/// What may be said about an asset; in a form every field is a text. Only a description: `fields` reads it, with all
/// its synonyms.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AssetFields {
    /// One of `campaign_id` and `client_id` must be given.
    pub campaign_id: Option<Uuid>,
    /// Filled in from the campaign.
    pub client_id: Option<Uuid>,
    /// `image`, `video` or `audio`; must be what the file is. Also `asset_type`.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    pub kind: Option<String>,
    /// Otherwise the file's name.
    #[schema(max_length = 255)]
    pub name: Option<String>,
    /// Also `caption`.
    pub description: Option<String>,
    /// A list, or words between commas. Also `tag_list`.
    pub tags: Option<Vec<String>>,
    /// Also `meta`.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

/// A form with a file.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AssetForm {
    /// JPEG, PNG, WebP, GIF, MP4, MOV, WebM, MP3, WAV, M4A…, at most 512 MB.
    #[schema(value_type = String, format = Binary)]
    pub file: Vec<u8>,
    #[serde(flatten)]
    pub fields: AssetFields,
}

/// An address to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"source_url": "https://photos.example/lodge.jpg", "campaign_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e",
    "tags": ["exterior"]}))]
pub struct AssetFromUrl {
    /// `http` or `https`, reachable from the outside; private addresses are refused. Also `url`.
    #[schema(max_length = 2048)]
    pub source_url: String,
    #[serde(flatten)]
    pub fields: AssetFields,
}

/// Stores an asset from an uploaded file or an address. Its kind is told by its bytes.
#[utoipa::path(post, path = "/api/v3/assets", operation_id = "create_asset", tag = "assets",
    request_body(content((AssetForm = "multipart/form-data"), (AssetFromUrl = "application/json"))),
    responses((status = 201, body = AssetData)))]
pub async fn upload(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<AssetData>), ApiError> {
    let data = take(&state, &caller, request).await?;
    Ok((StatusCode::CREATED, Json(AssetData { data })))
}

/// Takes a form with a file or JSON with an address, and stores what it brings.
pub async fn take(state: &AppState, caller: &Caller, request: Request) -> Result<AssetJson, ApiError> {
    let (fields, source) = if is_form(&request) {
        let form = Multipart::from_request(request, &()).await.map_err(|rejection| {
            ApiError::bad_request(Code::BadRequest, "the form has no boundary")
                .with_cause(rejection.body_text())
        })?;
        let form = receive::form(form, state.store.scratch()).await?;
        let source = match (form.file, form.fields.source_url()?) {
            (Some(file), _) => Source::File(file),
            (None, Some(url)) => Source::Url(url),
            (None, None) => return Err(no_source()),
        };
        (form.fields, source)
    } else if json::is_json(request.headers()) {
        from_json(request).await?
    } else {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::UnsupportedMediaType,
            "send a form (multipart/form-data) with a file, or JSON with a source_url",
        ));
    };
    let said = fields.parse()?;
    let owner = owner_of(state, caller, &said).await?;
    asset_intake::create(state, said, owner, source).await
}

/// The fields and the address of a JSON body.
pub async fn from_json(request: Request) -> Result<(Fields, Source), ApiError> {
    let body = to_bytes(request.into_body(), MOST_JSON_BYTES).await.map_err(|error| {
        ApiError::too_large("the body is larger than 1 MB, or was cut off").with_cause(error)
    })?;
    let fields = Fields::of(json::object(&body)?);
    let url = fields.source_url()?.ok_or_else(no_source)?;
    Ok((fields, Source::Url(url)))
}

fn is_form(request: &Request) -> bool {
    let value =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}
