//! What a storyboard is made from: a campaign and its photos, in one round trip.

use crate::error::{DbError, Doing};
use spool_job::photo::Photo;
use sqlx::PgConnection;
use uuid::Uuid;

/// Most photos that one storyboard is made from.
const MOST_PHOTOS: i64 = 2000;

/// A campaign as the planner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// Whose campaign.
    pub client_id: Uuid,
    /// Its name.
    pub campaign_name: String,
    /// Its photos, oldest first.
    pub photos: Vec<Photo>,
}

/// Of a campaign; with `owner`, only if it belongs to that client.
pub async fn of_campaign(
    conn: &mut PgConnection,
    campaign_id: Uuid,
    owner: Option<Uuid>,
) -> Result<Option<Material>, DbError> {
    // A campaign without photos is one row without a photo.
    let rows = sqlx::query!(
        r#"SELECT c.client_id AS "client_id!", c.name AS "campaign_name!", a.id AS "photo_id?", a.name AS "photo_name?", a.tags AS "tags?"
           FROM campaigns c
           LEFT JOIN LATERAL (
               SELECT id, name, tags, inserted_at FROM assets
               WHERE campaign_id = c.id AND type = 'image' AND deleted_at IS NULL
               ORDER BY inserted_at, id LIMIT $3
           ) a ON true
           WHERE c.id = $1 AND ($2::uuid IS NULL OR c.client_id = $2)
           ORDER BY a.inserted_at, a.id"#,
        campaign_id,
        owner,
        MOST_PHOTOS,
    )
    .fetch_all(conn)
    .await
    .doing("read the photos of the campaign")?;
    let mut material: Option<Material> = None;
    for row in rows {
        let material = material.get_or_insert_with(|| Material {
            client_id: row.client_id,
            campaign_name: row.campaign_name,
            photos: Vec::new(),
        });
        if let (Some(asset_id), Some(name), Some(tags)) = (row.photo_id, row.photo_name, row.tags) {
            material.photos.push(Photo { asset_id, name, tags });
        }
    }
    Ok(material)
}
