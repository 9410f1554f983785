//! `ApiPath<T>`: ids from the path. What is no id is refused as such, before anything is looked up.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Code};

#[derive(Debug)]
pub struct ApiPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::bad_request(
                Code::InvalidId,
                "an id in the path is not of the right form: job ids are whole numbers, all others UUIDs",
            )
            .with_cause(rejection.body_text())),
        }
    }
}
