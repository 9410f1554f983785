//! GET /admin/storage.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spool_db::storage::{self, Amount};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::state::AppState;

/// Files and their bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoredAmount {
    pub files: i64,
    pub bytes: i64,
}

impl From<Amount> for StoredAmount {
    fn from(amount: Amount) -> Self {
        Self { files: amount.files, bytes: amount.bytes }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StoredType {
    pub content_type: String,
    pub files: i64,
    pub bytes: i64,
}

/// All that is stored; the same content is stored and counted once.
#[derive(Debug, Serialize, ToSchema)]
pub struct StorageStats {
    pub total: StoredAmount,
    /// Largest first.
    pub by_type: Vec<StoredType>,
    /// Content of assets that were not deleted.
    pub assets: StoredAmount,
    /// Videos of completed jobs.
    pub videos: StoredAmount,
    /// Clips of scenes.
    pub clips: StoredAmount,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageData {
    pub data: StorageStats,
}

/// Counts what is stored, by kind and by use.
#[utoipa::path(get, path = "/api/v3/admin/storage", operation_id = "show_storage", tag = "admin",
    responses((status = 200, body = StorageData)))]
pub async fn show(State(state): State<AppState>) -> Result<Json<StorageData>, ApiError> {
    let stored = storage::stored(&mut *state.db.read().await?).await?;
    let by_type = stored.by_type.into_iter().map(|(content_type, amount)| StoredType {
        content_type,
        files: amount.files,
        bytes: amount.bytes,
    });
    Ok(Json(StorageData {
        data: StorageStats {
            total: stored.all.into(),
            by_type: by_type.collect(),
            assets: stored.assets.into(),
            videos: stored.videos.into(),
            clips: stored.clips.into(),
        },
    }))
}
