//! Fetches what callers name by address, through the provider crate's guard: private addresses are refused, also
//! behind redirects and by DNS, and size and time are bounded.

use spool_media::scratch::Received;
use spool_provider::download::{self, Bounds};
use spool_telemetry::programs;
use tokio_util::io::ReaderStream;
use url::Url;

use crate::error::{ApiError, Code};
use crate::limits::MOST_MEDIA_BYTES;
use crate::state::AppState;

/// Brings what is at `url` into the store's scratch space.
pub async fn fetch(state: &AppState, url: &Url) -> Result<Received, ApiError> {
    let folder = state.store.scratch().folder().map_err(ApiError::internal)?;
    let path = folder.path().join("download");
    let downloaded = download::fetch(&state.fetch_policy, url.as_str(), &path, Bounds::of(MOST_MEDIA_BYTES))
        .await
        .map_err(|error| {
            let reason = error.to_string();
            ApiError::bad_request(Code::DownloadFailed, format!("the address cannot be fetched: {reason}"))
                .with("reason", reason)
                .with_cause(error)
        })?;
    programs::bytes_in(downloaded.bytes);
    let file = tokio::fs::File::open(&path).await.map_err(ApiError::internal)?;
    let received = state.store.scratch().receive(ReaderStream::new(file), MOST_MEDIA_BYTES).await;
    received.map_err(ApiError::internal)
}
