//! What a refused request is told: one type, one body (RFC 9457 problem+json). It imports only plain types;
//! the body is written by `layers::problem`, which knows the request id.

use std::error::Error;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use spool_db::error::DbError;
use utoipa::ToSchema;

/// Stable names of everything that can go wrong: clients match on these, never on sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    BadRequest,
    MalformedJson,
    InvalidQuery,
    InvalidId,
    MissingParameter,
    NoSource,
    BadMedia,
    DownloadFailed,
    NoAssets,
    NotEnoughAssets,
    InvalidTypes,
    InvalidRange,
    Unauthorized,
    BadSignature,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    RateLimited,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
    NotPending,
    AlreadyFinal,
    InUse,
    NotInDoubt,
    AlreadyRunning,
    NotRetryable,
    NotEnded,
    NotRegenerable,
    LastScene,
    TooManyRefinements,
    PreconditionFailed,
    InvalidIdempotencyKey,
    IdempotencyKeyReused,
    IdempotencyKeyInUse,
    EndpointDisabled,
    TooManyEndpoints,
    JobCreationFailed,
    WrongJob,
    Internal,
    Unavailable,
}

/// The body of every error answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:spool:problem:not_found", "title": "Not Found", "status": 404,
    "detail": "there is no job 17", "instance": "/api/v3/jobs/17",
    "error": "there is no job 17", "code": "not_found", "request_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e"
}))]
pub struct Problem {
    /// A name for the kind of problem: `urn:spool:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    pub status: u16,
    /// One sentence about this occurrence.
    pub detail: String,
    /// The path that was asked for.
    pub instance: String,
    /// The same sentence under the name that older clients read.
    pub error: String,
    pub code: Code,
    /// Per field, what is wrong with it; absent where no field is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Quote this when asking for help; it is in the logs.
    pub request_id: String,
    /// Members that single routes add (`job_id`, `current_status`, `reason`, `invalid_types`).
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A refusal on its way out. Cheap to move: one box.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Refusal>);

/// What an [`ApiError`] holds; `layers::problem` turns it into the body.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: StatusCode,
    pub code: Code,
    pub detail: String,
    pub details: Option<Value>,
    pub extra: Map<String, Value>,
    pub headers: HeaderMap,
    /// Why, for the log only; the caller never sees it.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Refusal {
    /// The cause and what lies behind it, for the log.
    pub fn why(&self) -> Option<String> {
        let cause = self.cause.as_ref()?;
        let mut chain = cause.to_string();
        let mut source = cause.source();
        while let Some(error) = source {
            chain.push_str(": ");
            chain.push_str(&error.to_string());
            source = error.source();
        }
        Some(chain)
    }
}

impl ApiError {
    pub fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Refusal {
            status,
            code,
            detail: detail.into(),
            details: None,
            extra: Map::new(),
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    pub fn bad_request(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// The thing does not exist, or belongs to somebody else: the two look the same from outside.
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, format!("there is no {what} {id}"))
    }

    pub fn unprocessable(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 422 with a list of sentences per field.
    pub fn invalid(fields: Map<String, Value>) -> Self {
        let names = fields.keys().cloned().collect::<Vec<_>>().join(", ");
        let detail = format!("the request is not valid: see {names}");
        Self::unprocessable(Code::ValidationFailed, detail).with_details(Value::Object(fields))
    }

    /// Something must not go while jobs that have not ended stand on it.
    pub fn in_use(what: &str, id: impl std::fmt::Display, by: impl std::fmt::Display) -> Self {
        let why = format!("{what} {id} is used by {by}; cancel them or wait until they have ended");
        Self::conflict(Code::InUse, why)
    }

    pub fn unauthorized(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .with_header(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"spool\""))
    }

    pub fn conflict(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// Too many requests; the next one may come after so many seconds.
    pub fn too_many(seconds: u64) -> Self {
        let why = format!("this key has made all the requests it may for now; go on in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited, why)
            .with_header(http::header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::PayloadTooLarge, detail)
    }

    /// Our fault. The sentence stays the same whatever happened: the cause goes to the log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Internal,
            "something went wrong here; the request id finds it in the logs",
        )
        .with_cause(cause)
    }

    /// Something we stand on is away; asking again later will do.
    pub fn unavailable(what: &str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Unavailable,
            format!("{what} cannot be reached just now; try again in a moment"),
        )
        .with_header(http::header::RETRY_AFTER, HeaderValue::from_static("2"))
        .with_cause(cause)
    }

    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Adds a member of its own to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(Arc::from(cause.into()));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    /// For the log: see [`Refusal::why`].
    pub fn why(&self) -> Option<String> {
        self.0.why()
    }

    /// The sentence that the caller gets.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        if error.is_unavailable() { Self::unavailable("the database", error) } else { Self::internal(error) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.headers_mut().extend(self.0.headers.clone());
        response.extensions_mut().insert(*self.0);
        response
    }
}
