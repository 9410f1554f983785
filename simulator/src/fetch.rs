//! Fetching a prediction's media inputs, as the real workers do when a model starts, and the digest of the
//! input that follows from the bytes.

use crate::canonical;
use crate::model::Model;
use crate::record::Record;
use crate::sim::Sim;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Most bytes of one input.
const LIMIT: u64 = 200 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(60);

/// One input that was fetched, or should have been.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fetched {
    pub(crate) prediction_id: String,
    pub(crate) url: String,
    /// `input` path of the URL.
    pub(crate) field: String,
    pub(crate) ok: bool,
    pub(crate) bytes: u64,
    pub(crate) sha256: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) at: DateTime<Utc>,
}

/// The media of an input on disk.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    files: BTreeMap<String, Vec<PathBuf>>,
    /// SHA-256 of the canonical input with digests in place of URLs.
    pub(crate) digest: String,
}

impl Inputs {
    /// The file behind a field.
    pub(crate) fn file(&self, field: &str) -> Option<&Path> {
        self.files.get(field)?.first().map(PathBuf::as_path)
    }
}

/// Digest of an input without media, known before anything is fetched.
pub(crate) fn digest_without_media(model: &Model, input: &Map<String, Value>) -> Option<String> {
    let has_media = input.iter().any(|(field, value)| model.is_media(field) && !value.is_null());
    (!has_media).then(|| canonical::digest(&Value::Object(input.clone())))
}

/// Fetches every media input into `dir`. The error is what the model would say.
pub(crate) async fn inputs(sim: &Sim, model: &Model, record: &Record, dir: &Path) -> Result<Inputs, String> {
    let mut inputs = Inputs::default();
    let mut with_digests = record.input.clone();
    for (field, value) in &record.input {
        if !model.is_media(field) {
            continue;
        }
        let mut replaced = value.clone();
        let urls: Vec<&mut Value> = match &mut replaced {
            Value::Array(items) => items.iter_mut().collect(),
            Value::Null => Vec::new(),
            one => vec![one],
        };
        for (index, slot) in urls.into_iter().enumerate() {
            let url = slot.as_str().unwrap_or_default().to_owned();
            let path = dir.join(format!("{field}-{index}"));
            let outcome = one(sim, &url, &path).await;
            note(sim, record, field, &url, &outcome);
            let (_, sha256) = outcome
                .map_err(|error| format!("Error downloading input {field} ({}): {error}", shortened(&url)))?;
            *slot = Value::from(sha256);
            inputs.files.entry(field.clone()).or_default().push(path);
        }
        with_digests.insert(field.clone(), replaced);
    }
    inputs.digest = canonical::digest(&Value::Object(with_digests));
    Ok(inputs)
}

fn note(sim: &Sim, record: &Record, field: &str, url: &str, outcome: &Result<(u64, String), String>) {
    sim.note_fetch(Fetched {
        prediction_id: record.id.clone(),
        url: shortened(url),
        field: field.to_owned(),
        ok: outcome.is_ok(),
        bytes: outcome.as_ref().map_or(0, |(bytes, _)| *bytes),
        sha256: outcome.as_ref().ok().map(|(_, sha256)| sha256.clone()),
        error: outcome.as_ref().err().cloned(),
        at: sim.clock.now(),
    });
}

/// Data URIs can be megabytes long.
fn shortened(url: &str) -> String {
    if url.starts_with("data:") { url.chars().take(64).collect() } else { url.to_owned() }
}

async fn one(sim: &Sim, url: &str, path: &Path) -> Result<(u64, String), String> {
    if let Some(data) = url.strip_prefix("data:") {
        let bytes = data_uri(data).ok_or("not a base64 data URI")?;
        tokio::fs::write(path, &bytes).await.map_err(|error| error.to_string())?;
        return Ok((bytes.len() as u64, canonical::hex(&Sha256::digest(&bytes))));
    }
    let own_files = format!("{}/v1/files/", sim.origin.api);
    if let Some(id) = url.strip_prefix(&own_files) {
        let file = sim.files.get(id, sim.clock.now()).ok_or("HTTP Error 404: Not Found")?;
        tokio::fs::copy(sim.files.path(id), path).await.map_err(|error| error.to_string())?;
        return Ok((file.size, file.checksums.sha256));
    }
    let url = sim.outbound.check(url).map_err(|error| error.to_string())?;
    match tokio::time::timeout(TIMEOUT, download(sim, url, path)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err("timed out".to_owned()),
    }
}

async fn download(sim: &Sim, url: url::Url, path: &Path) -> Result<(u64, String), String> {
    let broken = |error: reqwest::Error| format!("connection failed: {}", error.without_url());
    let response = sim.outbound.client().get(url).send().await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(format!("HTTP Error {}", response.status()));
    }
    let expected = response.content_length();
    let mut file = tokio::fs::File::create(path).await.map_err(|error| error.to_string())?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(broken)?;
        bytes += chunk.len() as u64;
        if bytes > LIMIT {
            return Err("file too large".to_owned());
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(|error| error.to_string())?;
    }
    file.flush().await.map_err(|error| error.to_string())?;
    if expected.is_some_and(|expected| expected != bytes) {
        return Err("incomplete read".to_owned());
    }
    Ok((bytes, canonical::hex(&hash.finalize())))
}

fn data_uri(data: &str) -> Option<Vec<u8>> {
    let (kind, content) = data.split_once(',')?;
    if !kind.ends_with(";base64") {
        return None;
    }
    STANDARD.decode(content.trim()).ok()
}
