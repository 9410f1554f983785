//! `ApiJson<T>`: a JSON object in either casing, parsed into `T`, or a problem that says where it is wrong.
//! Missing content type: 415. Broken syntax: 400. Wrong shape: 422 with the path of the field.

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{ApiError, Code};
use crate::extract::casing;

/// A body that must be there.
#[derive(Debug)]
pub struct ApiJson<T>(pub T);

/// A body that may be left out; then `T` has its defaults.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let body = Bytes::from_request(request, state).await.map_err(refused_body)?;
        parse(&body).map(ApiJson)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let body = Bytes::from_request(request, state).await.map_err(refused_body)?;
        if body.is_empty() {
            return Ok(OptionalJson(T::default()));
        }
        if !is_json {
            return Err(not_json());
        }
        parse(&body).map(OptionalJson)
    }
}

/// `application/json` and its `+json` relatives.
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

pub fn not_json() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::UnsupportedMediaType,
        "send the body as JSON, with the header content-type: application/json",
    )
}

/// The whole body as one object with snake names, without NUL characters.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        ApiError::bad_request(Code::MalformedJson, format!("the body is not JSON: {error}"))
    })?;
    let Value::Object(object) = value else {
        return Err(ApiError::unprocessable(Code::ValidationFailed, "the body must be a JSON object"));
    };
    let object = Value::Object(casing::snake_keys(object));
    if casing::has_nul(&object) {
        return Err(ApiError::unprocessable(
            Code::ValidationFailed,
            "the body holds a NUL character, which cannot be stored",
        ));
    }
    match object {
        Value::Object(object) => Ok(object),
        _ => Ok(Map::new()),
    }
}

pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    from_object(object(body)?)
}

pub fn from_object<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let path = error.path().to_string();
        let mut fields = Map::new();
        fields.insert(path, Value::from(vec![error.into_inner().to_string()]));
        ApiError::invalid(fields)
    })
}

fn refused_body(rejection: BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large("the body is larger than 1 MB"),
        _ => ApiError::bad_request(Code::BadRequest, "the body could not be read to its end"),
    }
}
