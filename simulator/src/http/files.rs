//! The files API: uploads that become inputs.

use crate::canonical;
use crate::files::{LIMIT, RETENTION};
use crate::http::problem;
use crate::id;
use crate::sim::Sim;
use axum::Json;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, json};
use sha2::{Digest, Sha256};
use spool_provider::wire::{FileChecksums, FileObject, FileUrls, Page};
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;

type Shared = State<Arc<Sim>>;

/// Why an upload was refused.
enum Refused {
    TooLarge,
    NoContent,
    Broken(String),
}

impl From<MultipartError> for Refused {
    fn from(error: MultipartError) -> Self {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::TooLarge
        } else {
            Self::Broken(error.body_text())
        }
    }
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// `POST /v1/files`
pub(crate) async fn create(State(sim): Shared, mut request: Request) -> Response {
    // The route's limit is for JSON; the parts are counted as they come.
    DefaultBodyLimit::disable().apply(&mut request);
    let parts = match Multipart::from_request(request, &()).await {
        Ok(parts) => parts,
        Err(error) => return problem::bad_request(&error.body_text()),
    };
    let id = id::prediction();
    match receive(&sim, &id, parts).await {
        Ok(file) => (StatusCode::CREATED, Json(file)).into_response(),
        Err(refused) => {
            tokio::fs::remove_file(sim.files.path(&id)).await.ok();
            match refused {
                Refused::TooLarge => problem::with_body(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    &json!({"detail": "Files must be less than 100MB in size"}),
                ),
                Refused::NoContent => problem::bad_request("Missing content"),
                Refused::Broken(why) => problem::bad_request(&why),
            }
        }
    }
}

async fn receive(sim: &Sim, id: &str, mut parts: Multipart) -> Result<FileObject, Refused> {
    let mut content = None;
    let mut metadata = Map::new();
    while let Some(part) = parts.next_field().await? {
        match part.name() {
            Some("content") => content = Some(keep(sim, id, part).await?),
            Some("metadata") => {
                let text = part.bytes().await?;
                metadata = serde_json::from_slice(&text)
                    .map_err(|_| Refused::Broken("metadata must be a JSON object".to_owned()))?;
            }
            _ => {}
        }
    }
    let (name, content_type, size, sha256) = content.ok_or(Refused::NoContent)?;
    let created_at = sim.clock.now();
    let file = FileObject {
        id: id.to_owned(),
        name,
        content_type,
        size,
        etag: Some(sha256.chars().take(32).collect()),
        checksums: FileChecksums { sha256, md5: None },
        metadata,
        created_at,
        expires_at: Some(created_at + RETENTION),
        urls: FileUrls { get: format!("{}/v1/files/{id}", sim.origin.api) },
    };
    sim.files.put(&file)?;
    Ok(file)
}

async fn keep(sim: &Sim, id: &str, mut part: Field<'_>) -> Result<(String, String, u64, String), Refused> {
    let name = part.file_name().unwrap_or("file").to_owned();
    if name.len() > 255 {
        return Err(Refused::Broken("Filename must be at most 255 bytes long".to_owned()));
    }
    let content_type = part.content_type().unwrap_or("application/octet-stream").to_owned();
    let mut file = tokio::fs::File::create(sim.files.path(id)).await?;
    let mut hash = Sha256::new();
    let mut size = 0;
    while let Some(chunk) = part.chunk().await? {
        size += chunk.len() as u64;
        if size > LIMIT {
            return Err(Refused::TooLarge);
        }
        hash.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok((name, content_type, size, canonical::hex(&hash.finalize())))
}

/// `GET /v1/files`
pub(crate) async fn list(State(sim): Shared) -> Json<Page<FileObject>> {
    Json(Page { next: None, previous: None, results: sim.files.all(sim.clock.now()) })
}

/// `GET /v1/files/{id}`
pub(crate) async fn get(State(sim): Shared, Path(id): Path<String>) -> Response {
    match sim.files.get(&id, sim.clock.now()) {
        Some(file) => Json(file).into_response(),
        None => missing(),
    }
}

/// `DELETE /v1/files/{id}`
pub(crate) async fn delete(State(sim): Shared, Path(id): Path<String>) -> Response {
    if sim.files.delete(&id, sim.clock.now()) { StatusCode::NO_CONTENT.into_response() } else { missing() }
}

fn missing() -> Response {
    problem::with_body(StatusCode::NOT_FOUND, &json!({"detail": "File not found"}))
}
