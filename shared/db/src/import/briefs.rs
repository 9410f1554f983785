//! Briefs: wishes in free words and what a language model made of them.

use super::accounts::Times;
use crate::error::{DbError, Doing};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A brief as the older system kept it.
#[derive(Debug, Clone)]
pub struct Brief {
    /// What was asked for.
    pub prompt: Option<String>,
    /// A picture that was sent along, by address.
    pub image_url: Option<String>,
    /// A film that was sent along, by address.
    pub video_url: Option<String>,
    /// The picture itself.
    pub image_digest: Option<String>,
    /// The film itself.
    pub video_digest: Option<String>,
    /// Look and tone.
    pub creative_direction: Value,
    /// Scene by scene.
    pub scenes: Value,
    /// 0 to 1, by the parser's own reckoning.
    pub confidence_score: Option<f64>,
}

/// Says whether the brief is new here.
pub async fn brief(conn: &mut PgConnection, id: Uuid, new: &Brief, times: Times) -> Result<bool, DbError> {
    let made = sqlx::query!(
        "INSERT INTO briefs (id, prompt, image_url, video_url, image_digest, video_digest, creative_direction, scenes, confidence_score,
                             inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, COALESCE($10, $11, now()), COALESCE($11, $10, now())) ON CONFLICT (id) DO NOTHING",
        id,
        new.prompt,
        new.image_url,
        new.video_url,
        new.image_digest,
        new.video_digest,
        new.creative_direction,
        new.scenes,
        new.confidence_score,
        times.inserted,
        times.updated,
    )
    .execute(conn)
    .await
    .doing("import a brief")?;
    Ok(made.rows_affected() == 1)
}
