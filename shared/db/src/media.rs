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

/// The picture that was made of a stored film, if one was.
pub async fn thumbnail_of(conn: &mut PgConnection, digest: &str) -> Result<Option<MediaRow>, DbError> {
    sqlx::query_as!(
        MediaRow,
        "SELECT t.digest, t.bytes, t.content_type, t.width, t.height, t.duration_ms
         FROM media m JOIN media t ON t.digest = m.picture_digest WHERE m.digest = $1",
        digest
    )
    .fetch_optional(conn)
    .await
    .doing("find the picture of a film")
}

/// Keeps a recorded picture with the film that it shows; the first one stays.
pub async fn keep_thumbnail(conn: &mut PgConnection, film: &str, picture: &str) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE media SET picture_digest = $2 WHERE digest = $1 AND picture_digest IS NULL",
        film,
        picture
    )
    .execute(conn)
    .await
    .doing("keep the picture of a film")?;
    Ok(())
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
