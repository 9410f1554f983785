//! What storyboards are made from is read for all who ask at the same time by one statement: most of what such a read costs is its beginning
//! and its end, and many jobs are asked for in one campaign. Who asks alone waits for nobody, and nobody is told what was read before
//! they asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use spool_db::material::{self, Material};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use crate::database::Database;
use crate::error::ApiError;
use crate::groups::Groups;

/// Nobody waits longer for photos.
const PATIENCE: Duration = Duration::from_secs(20);

type Found = Result<Option<Arc<Material>>, ApiError>;

/// Of which campaign, and whom to tell.
struct Ask {
    campaign: Uuid,
    told: oneshot::Sender<Found>,
}

#[derive(Clone)]
pub struct MaterialReads {
    asks: Groups<Ask>,
}

impl MaterialReads {
    /// Starts the readers; they end with the last handle.
    pub fn new(db: &Database) -> Self {
        let db = db.clone();
        Self { asks: Groups::new(move |group| answer(db.clone(), group)) }
    }

    /// Of a campaign as it is after this was called; with `owner`, only if it belongs to that client.
    pub async fn of_campaign(
        &self,
        campaign: Uuid,
        owner: Option<Uuid>,
    ) -> Result<Option<Arc<Material>>, ApiError> {
        let (told, found) = oneshot::channel();
        let asked = async {
            self.asks.hand_in(Ask { campaign, told }).await?;
            found.await.map_err(ApiError::internal)?
        };
        let slow = |_| ApiError::unavailable("the database", "too many ask for photos at the same time");
        let found = timeout(PATIENCE, asked).await.map_err(slow)??;
        Ok(found.filter(|material| owner.is_none_or(|owner| owner == material.client_id)))
    }
}

async fn answer(db: Database, mut group: Vec<Ask>) {
    // Who has gone asks again.
    group.retain(|ask| !ask.told.is_closed());
    if group.is_empty() {
        return;
    }
    let read = match read(&db, &group).await {
        // One lost connection is not to fail all of them; a second error is.
        Err(_) => self::read(&db, &group).await,
        read => read,
    };
    for Ask { campaign, told } in group {
        let found = read.as_ref().map(|materials| materials.get(&campaign).cloned());
        told.send(found.map_err(Clone::clone)).ok();
    }
}

async fn read(db: &Database, group: &[Ask]) -> Result<HashMap<Uuid, Arc<Material>>, ApiError> {
    let mut campaigns: Vec<Uuid> = group.iter().map(|ask| ask.campaign).collect();
    campaigns.sort_unstable();
    campaigns.dedup();
    let materials = material::of_campaigns(&mut *db.read().await?, &campaigns).await?;
    Ok(materials.into_iter().map(|(id, material)| (id, Arc::new(material))).collect())
}
