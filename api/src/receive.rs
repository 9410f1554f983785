//! Takes a form with one file: the file goes chunk by chunk to the store's scratch space, hashed on the way and never
//! whole in memory; the other fields are small texts.

use std::time::Duration;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use futures::TryStreamExt;
use futures::stream;
use http::StatusCode;
use spool_media::scratch::{Received, Scratch};
use spool_media::store::StoreError;
use spool_telemetry::programs;

use crate::error::{ApiError, Code};
use crate::limits::MOST_MEDIA_BYTES;
use crate::routes::assets::fields::{Fields, clean_name};

/// Longest text field of a form, in bytes.
const LONGEST_FIELD: usize = 64 * 1024;
/// Most fields of a form.
const MOST_FIELDS: usize = 64;
/// A sender that is silent for this long has gone away.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file as it came, not yet looked at.
#[derive(Debug)]
pub struct Upload {
    pub content: Received,
    /// A name for people, from the form's file name; never a path.
    pub name: Option<String>,
}

/// The whole form.
#[derive(Debug)]
pub struct Form {
    pub fields: Fields,
    pub file: Option<Upload>,
}

/// Reads the form to its end.
pub async fn form(mut form: Multipart, scratch: &Scratch) -> Result<Form, ApiError> {
    let mut fields = Fields::default();
    let mut file = None;
    for _ in 0..MOST_FIELDS {
        let Some(field) = in_time(form.next_field()).await? else {
            return Ok(Form { fields, file });
        };
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if file.is_some() {
                return Err(bad_form("it holds more than one file"));
            }
            file = Some(upload(field, scratch).await?);
        } else {
            let text = text(field).await?;
            fields.add(&name, text);
        }
    }
    Err(bad_form("it has too many fields"))
}

async fn upload(field: Field<'_>, scratch: &Scratch) -> Result<Upload, ApiError> {
    let name = field.file_name().map(clean_name).filter(|name| !name.is_empty());
    let chunks = stream::try_unfold(field, |mut field| async {
        Ok(in_time(field.chunk()).await?.map(|chunk| (chunk, field)))
    });
    let content = scratch
        .receive(chunks.map_err(|error: ApiError| Broken(error)), MOST_MEDIA_BYTES)
        .await
        .map_err(refusal)?;
    programs::bytes_in(content.bytes());
    Ok(Upload { content, name })
}

/// Carries our own refusal through the store's error.
#[derive(Debug, thiserror::Error)]
#[error("the form broke off")]
struct Broken(ApiError);

fn refusal(error: StoreError) -> ApiError {
    match error {
        StoreError::TooBig { .. } => file_too_large(),
        StoreError::Incoming { source } => match source.downcast::<Broken>() {
            Ok(broken) => broken.0,
            Err(source) => bad_form("it is cut off").with_cause(source),
        },
        error => ApiError::internal(error),
    }
}

async fn text(mut field: Field<'_>) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(field.chunk()).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST_FIELD {
            return Err(ApiError::too_large("a field of the form is larger than 64 kB"));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| bad_form("a field is not UTF-8"))?;
    if text.contains('\0') { Err(bad_form("a field holds a NUL character")) } else { Ok(text) }
}

async fn in_time<T>(step: impl Future<Output = Result<T, MultipartError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(file_too_large()),
        Ok(Err(error)) => Err(bad_form("it is cut off or not well formed").with_cause(error)),
        Err(_) => {
            let why = format!("nothing came for {} s", PATIENCE.as_secs());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, Code::RequestTimeout, why))
        }
    }
}

fn file_too_large() -> ApiError {
    ApiError::too_large(format!("the file is larger than {} MB", MOST_MEDIA_BYTES >> 20))
}

fn bad_form(why: &str) -> ApiError {
    ApiError::bad_request(Code::BadRequest, format!("the form cannot be read: {why}"))
}
