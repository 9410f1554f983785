//! The one way a file becomes an asset: told by its bytes, measured before it is decoded, decoded as proof (films by their
//! keyframes), stored by content, and written down in one transaction. What the caller says about it decides nothing.

use spool_db::assets::{self, Asset, NewAsset};
use spool_db::media::{self, MediaRow};
use spool_media::scratch::Received;
use sqlx::PgConnection;
use url::Url;
use uuid::Uuid;

use crate::audit;
use crate::database::{commit, roll_back};
use crate::download;
use crate::error::ApiError;
use crate::inspect::{self, Inspected};
use crate::receive::Upload;
use crate::routes::assets::body::AssetJson;
use crate::routes::assets::fields::{Said, clean_name};
use crate::state::AppState;
use crate::validation::Invalid;

/// Where the bytes come from.
#[derive(Debug)]
pub enum Source {
    File(Upload),
    Url(Url),
}

/// An asset whose bytes are in the store; only its rows are missing.
pub struct Taken {
    new: NewAsset,
    stored: Stored,
}

/// Takes the bytes in and creates the asset for `owner`.
pub async fn create(
    state: &AppState,
    said: Said,
    owner: Option<Uuid>,
    source: Source,
) -> Result<AssetJson, ApiError> {
    take(state, said, owner, source).await?.create(state).await
}

/// Takes the bytes in.
pub async fn take(
    state: &AppState,
    said: Said,
    owner: Option<Uuid>,
    source: Source,
) -> Result<Taken, ApiError> {
    let (content, source_name, source_url) = match source {
        Source::File(upload) => (upload.content, upload.name, None),
        Source::Url(url) => {
            let content = download::fetch(state, &url).await?;
            let name =
                url.path_segments().and_then(Iterator::last).map(clean_name).filter(|name| !name.is_empty());
            (content, name, Some(url.to_string()))
        }
    };
    let found = inspect::inspect(state, &content).await?;
    let kind = found.kind.as_str();
    if let Some(claimed) = said.kind.as_deref().filter(|claimed| *claimed != kind) {
        return Err(Invalid::only("type", format!("the file is of type {kind}, not {claimed}")));
    }
    let stored = store(state, content, found).await?;

    let new = NewAsset {
        client_id: owner,
        campaign_id: said.campaign_id,
        kind: kind.to_owned(),
        name: said.name.filter(|name| !name.is_empty()).or(source_name).unwrap_or_else(|| kind.to_owned()),
        description: said.description,
        tags: said.tags,
        source_url,
        digest: stored.media.digest.clone(),
        thumbnail_digest: stored.thumbnail.as_ref().map(|row| row.digest.clone()),
        metadata: said.metadata,
    };
    Ok(Taken { new, stored })
}

impl Taken {
    /// Creates the asset. Of one request one after the other: a transaction of a request with an `Idempotency-Key` lets no other in.
    pub async fn create(self, state: &AppState) -> Result<AssetJson, ApiError> {
        let mut transaction = state.db.begin().await?;
        let asset = match self.write(&mut transaction).await {
            Ok(asset) => asset,
            Err(error) => {
                roll_back(transaction).await?;
                return Err(error);
            }
        };
        audit::about("asset", asset.id.to_string());
        commit(transaction).await?;
        Ok(AssetJson::of(asset, &state.links, state.clock.now()))
    }

    async fn write(&self, conn: &mut PgConnection) -> Result<Asset, ApiError> {
        media::record(conn, &self.stored.media).await?;
        if let Some(thumbnail) = &self.stored.thumbnail {
            media::record(conn, thumbnail).await?;
        }
        match assets::create(conn, Uuid::now_v7(), &self.new).await {
            // The owner was there when we looked, and was deleted while the bytes came in.
            Err(error) if error.is_constraint("assets_campaign_id_fkey") => {
                Err(Invalid::only("campaign_id", "does not exist").with_cause(error))
            }
            Err(error) if error.is_constraint("assets_client_id_fkey") => {
                Err(Invalid::only("client_id", "does not exist").with_cause(error))
            }
            other => Ok(other?),
        }
    }
}

struct Stored {
    media: MediaRow,
    thumbnail: Option<MediaRow>,
}

async fn store(state: &AppState, content: Received, found: Inspected) -> Result<Stored, ApiError> {
    let stored = state.store.keep(content).await.map_err(ApiError::internal)?;
    let thumbnail = match found.thumbnail {
        None => None,
        Some(thumbnail) => {
            let stored = state.store.put_file(&thumbnail.path).await.map_err(ApiError::internal)?;
            Some(MediaRow {
                digest: stored.digest.to_string(),
                bytes: i64::try_from(stored.bytes).map_err(ApiError::internal)?,
                content_type: "image/jpeg".to_owned(),
                width: None,
                height: None,
                duration_ms: None,
            })
        }
    };
    Ok(Stored {
        media: MediaRow {
            digest: stored.digest.to_string(),
            bytes: i64::try_from(stored.bytes).map_err(ApiError::internal)?,
            content_type: found.content_type.to_owned(),
            width: found.width.and_then(|pixels| i32::try_from(pixels).ok()),
            height: found.height.and_then(|pixels| i32::try_from(pixels).ok()),
            duration_ms: found.duration.and_then(|length| i64::try_from(length.as_millis()).ok()),
        },
        thumbnail,
    })
}
