//! Serving outputs as the service's CDN does: type, length, entity tag, ranges; gone after an hour. A request
//! that carries the API token is written down as a leak.

use crate::clock::machine_time;
use crate::fault::{Fault, Route, Stage};
use crate::faults::Call;
use crate::http::problem;
use crate::record::{OutputFile, Record};
use crate::sim::{Leak, Sim};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use serde_json::Value;
use std::io::{Error, ErrorKind, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

const CHUNK: usize = 64 * 1024;

/// `GET /xezq/{prediction}/{name}`
pub(crate) async fn output(
    State(sim): State<Arc<Sim>>,
    Path((id, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        sim.note_leak(Leak { path: format!("/xezq/{id}/{name}"), at: machine_time() });
    }
    let Some(record) = sim.book.get(&id) else { return gone() };
    let input = Value::Object(record.input.clone()).to_string();
    let call = Call { route: Some(Route::Cdn), model: Some(&record.model), input: Some(&input), event: None };
    let faults = sim.strike(Stage::Download, call);
    if record.is_removed(sim.clock.now()) || faults.contains(&Fault::OutputExpired) {
        return gone();
    }
    let Some(file) = record.files.iter().find(|file| file.name == name) else { return gone() };
    for fault in &faults {
        match fault {
            Fault::DownloadHtml => {
                let page = "<!doctype html><title>Just a moment...</title><p>Checking your browser.</p>\n";
                return (StatusCode::OK, [(header::CONTENT_TYPE, "text/html")], page).into_response();
            }
            Fault::DownloadError { status } => {
                return StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY).into_response();
            }
            _ => {}
        }
    }
    let path = sim.output_dir(&record.id).join(&file.name);
    match serve(&record, file, path, &method, &headers, &faults).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(external_id = id, file = name, %error, "an output cannot be read");
            gone()
        }
    }
}

fn gone() -> Response {
    problem::not_found("Not found")
}

async fn serve(
    record: &Record,
    file: &OutputFile,
    path: PathBuf,
    method: &Method,
    headers: &HeaderMap,
    faults: &[Fault],
) -> std::io::Result<Response> {
    let size = tokio::fs::metadata(&path).await?.len();
    let short = faults.iter().find_map(|fault| match fault {
        Fault::DownloadTruncated { percent, short_file } => {
            Some((size * (*percent).min(100) / 100, *short_file))
        }
        Fault::DownloadEmpty => Some((0, true)),
        _ => None,
    });
    let size = short.filter(|(_, looks_well)| *looks_well).map_or(size, |(kept, _)| kept);
    let etag = format!("\"{}\"", file.sha256);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let same = headers.get(header::IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).filter(|_| same);
    let (start, end, status) = match asked.map(|text| range(text, size)) {
        None | Some(Asked::Whole) => (0, size, StatusCode::OK),
        Some(Asked::Part(start, end)) => (start, end, StatusCode::PARTIAL_CONTENT),
        Some(Asked::Outside) => {
            let size = format!("bytes */{size}");
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, size)]).into_response());
        }
    };
    let mut source = tokio::fs::File::open(&path).await?;
    source.seek(SeekFrom::Start(start)).await?;
    let sent = short.map_or(end - start, |(kept, _)| kept.saturating_sub(start).min(end - start));
    let bytes = ReaderStream::with_capacity(source.take(sent), CHUNK);
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(paced(bytes, sent, end - start, faults))
    };
    let mut response = (status, body).into_response();
    let answer = response.headers_mut();
    let text = |text: String| {
        HeaderValue::from_str(&text).map_err(|error| Error::new(ErrorKind::InvalidData, error))
    };
    answer.insert(header::CONTENT_TYPE, text(file.content_type.clone())?);
    answer.insert(header::ETAG, text(etag)?);
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if !faults.contains(&Fault::DownloadNoLength) {
        answer.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        answer.insert(header::CONTENT_RANGE, text(format!("bytes {start}-{}/{size}", end - 1))?);
    }
    tracing::debug!(external_id = record.id, %status, bytes = sent, "output");
    Ok(response)
}

/// The bytes at the pace that was asked for; broken off where fewer come than were promised.
fn paced(
    bytes: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    sent: u64,
    promised: u64,
    faults: &[Fault],
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let pause = faults.iter().find_map(|fault| match fault {
        Fault::DownloadSlow { ms_per_chunk } => Some(Duration::from_millis(*ms_per_chunk)),
        _ => None,
    });
    let slowed = bytes.then(move |chunk| async move {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        chunk
    });
    let broken = (sent < promised).then_some(()).into_iter();
    slowed.chain(futures::stream::iter(broken).then(|()| async {
        // A pause makes the server send what it has; else a small answer would vanish with its headers.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Err(Error::from(ErrorKind::ConnectionReset))
    }))
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    /// From, up to (not included).
    Part(u64, u64),
    Outside,
}

fn range(text: &str, size: u64) -> Asked {
    let Some((from, to)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::Whole;
    };
    match (from.parse::<u64>().ok(), to.parse::<u64>().ok()) {
        (Some(from), _) if from >= size => Asked::Outside,
        (Some(from), Some(to)) if to >= from => Asked::Part(from, (to + 1).min(size)),
        (Some(from), None) if to.is_empty() => Asked::Part(from, size),
        (None, Some(0)) if from.is_empty() => Asked::Outside,
        (None, Some(last)) if from.is_empty() && size > 0 => Asked::Part(size.saturating_sub(last), size),
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let table = [
            ("bytes=0-3", Asked::Part(0, 4)),
            ("bytes=4-", Asked::Part(4, 10)),
            ("bytes=-3", Asked::Part(7, 10)),
            ("bytes=-99", Asked::Part(0, 10)),
            ("bytes=8-99", Asked::Part(8, 10)),
            ("bytes=10-", Asked::Outside),
            ("bytes=5-4", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("lines=0-1", Asked::Whole),
        ];
        for (text, asked) in table {
            assert_eq!(range(text, 10), asked, "{text}");
        }
    }
}
