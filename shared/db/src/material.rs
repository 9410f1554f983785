//! What storyboards are made from: campaigns and their photos, in one round trip.

use crate::error::{DbError, Doing};
use spool_job::photo::Photo;
use sqlx::PgConnection;
use std::collections::HashMap;
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
    /// Differs after each change of any of these.
    pub mark: i64,
}

/// Of those of these campaigns that there are.
pub async fn of_campaigns(
    conn: &mut PgConnection,
    campaigns: &[Uuid],
) -> Result<HashMap<Uuid, Material>, DbError> {
    // A campaign without photos is one row without a photo. How many are asked for is hidden in a subquery, or Postgres would plan anew for
    // each length, which takes longer than to read.
    let rows = sqlx::query!(
        r#"SELECT c.id, c.client_id AS "client_id!", c.name AS "campaign_name!", a.id AS "photo_id?", a.name AS "photo_name?",
                  a.tags AS "tags?", coalesce(m.mark, 0) AS "mark!"
           FROM campaigns c
           LEFT JOIN material_marks m ON m.campaign_id = c.id
           LEFT JOIN LATERAL (
               SELECT id, name, tags, inserted_at FROM assets
               WHERE campaign_id = c.id AND type = 'image' AND deleted_at IS NULL
               ORDER BY inserted_at, id LIMIT $2
           ) a ON true
           WHERE c.id = ANY ((SELECT $1::uuid[])::uuid[])
           ORDER BY c.id, a.inserted_at, a.id"#,
        campaigns,
        MOST_PHOTOS,
    )
    .fetch_all(conn)
    .await
    .doing("read the photos of the campaigns")?;
    let mut materials: HashMap<Uuid, Material> = HashMap::new();
    for row in rows {
        let material = materials.entry(row.id).or_insert_with(|| Material {
            client_id: row.client_id,
            campaign_name: row.campaign_name,
            photos: Vec::new(),
            mark: row.mark,
        });
        if let (Some(asset_id), Some(name), Some(tags)) = (row.photo_id, row.photo_name, row.tags) {
            material.photos.push(Photo { asset_id, name, tags });
        }
    }
    Ok(materials)
}
