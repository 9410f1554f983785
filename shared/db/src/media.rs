//! Rows about stored bytes. The bytes themselves are in the object store, under their digest.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use uuid::Uuid;

/// What is known about stored bytes.
#[derive(Debug, Clone)]
pub struct MediaRow {
    /// SHA-256, lowercase hex.
    pub digest: String,
    /// How many bytes.
    pub bytes: i64,
    /// MIME type.
    pub content_type: String,
    /// Pixels.
    pub width: Option<i32>,
    /// Pixels.
    pub height: Option<i32>,
    /// Milliseconds.
    pub duration_ms: Option<i64>,
}

/// Records stored bytes; the same content twice is one row.
pub async fn record(conn: &mut PgConnection, row: &MediaRow) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO media (digest, bytes, content_type, width, height, duration_ms)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (digest) DO NOTHING",
        row.digest,
        row.bytes,
        row.content_type,
        row.width,
        row.height,
        row.duration_ms,
    )
    .execute(conn)
    .await
    .doing("record stored media")?;
    Ok(())
}

/// The row of a digest.
pub async fn get(conn: &mut PgConnection, digest: &str) -> Result<Option<MediaRow>, DbError> {
    sqlx::query_as!(
        MediaRow,
        "SELECT digest, bytes, content_type, width, height, duration_ms FROM media WHERE digest = $1",
        digest
    )
    .fetch_optional(conn)
    .await
    .doing("read a media row")
}

/// What a prediction's input called `name` serves.
pub async fn of_prediction(
    conn: &mut PgConnection,
    prediction: Uuid,
    name: &str,
) -> Result<Option<MediaRow>, DbError> {
    sqlx::query_as!(
        MediaRow,
        "SELECT m.digest, m.bytes, m.content_type, m.width, m.height, m.duration_ms
         FROM predictions p JOIN media m ON m.digest = p.media ->> $2 WHERE p.id = $1",
        prediction,
        name,
    )
    .fetch_optional(conn)
    .await
    .doing("read the media of a prediction")
}
