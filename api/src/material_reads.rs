//! What storyboards are made from is read for all who ask at the same time by one statement: most of what such a read costs is its beginning
//! and its end, and many jobs are asked for in one campaign. Who asks alone waits for nobody, and nobody is told what was read before
//! they asked, unless they ask for what is kept: that is good for an order that brings its mark along, for the statement that writes the
//! job refuses it when anything has changed (`material_marks`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spool_db::material::{self, Material};
use spool_job::photo::Photo;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use crate::database::Database;
use crate::error::ApiError;
use crate::groups::Groups;
use crate::recent::Kept;

/// Nobody waits longer for photos.
const PATIENCE: Duration = Duration::from_secs(20);
/// For so long material is kept that nobody has found to be outdated.
const LIFE: Duration = Duration::from_secs(60);
/// Larger material is read each time: so many bytes, for so many campaigns as [`Kept`] has room for, are 32 MiB at most.
const MOST_KEPT_BYTES: usize = 32 << 10;

type Found = Result<Option<Arc<Material>>, ApiError>;

/// Of which campaign, and whom to tell.
struct Ask {
    campaign: Uuid,
    told: oneshot::Sender<Found>,
}

#[derive(Clone)]
pub struct MaterialReads {
    asks: Groups<Ask>,
    kept: Arc<Kept<Uuid, Arc<Material>>>,
}

impl MaterialReads {
    /// Starts the readers; they end with the last handle.
    pub fn new(db: &Database) -> Self {
        let db = db.clone();
        let kept = Arc::new(Kept::new(LIFE));
        let keeps = Arc::clone(&kept);
        Self { asks: Groups::new(move |group| answer(db.clone(), Arc::clone(&keeps), group)), kept }
    }

    /// Of a campaign as it was some time ago, if that is still known; with `owner`, only if it belonged to that client.
    pub fn kept(&self, campaign: Uuid, owner: Option<Uuid>) -> Option<Arc<Material>> {
        self.kept.young(campaign).filter(|material| belongs(material, owner))
    }

    /// What is kept of it has turned out to be outdated.
    pub fn forget(&self, campaign: Uuid) {
        self.kept.forget(campaign);
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
        Ok(found.filter(|material| belongs(material, owner)))
    }
}

fn belongs(material: &Material, owner: Option<Uuid>) -> bool {
    owner.is_none_or(|owner| owner == material.client_id)
}

/// About what it takes in memory.
fn bytes(material: &Material) -> usize {
    let texts = |photo: &Photo| {
        photo.name.len() + photo.tags.iter().map(|tag| size_of::<String>() + tag.len()).sum::<usize>()
    };
    material.photos.iter().map(|photo| size_of::<Photo>() + texts(photo)).sum()
}

async fn answer(db: Database, kept: Arc<Kept<Uuid, Arc<Material>>>, mut group: Vec<Ask>) {
    // Who has gone asks again.
    group.retain(|ask| !ask.told.is_closed());
    if group.is_empty() {
        return;
    }
    let asked = Instant::now();
    let read = match read(&db, &group).await {
        // One lost connection is not to fail all of them; a second error is.
        Err(_) => self::read(&db, &group).await,
        read => read,
    };
    for (campaign, material) in read.iter().flatten() {
        if bytes(material) <= MOST_KEPT_BYTES {
            kept.keep(*campaign, asked, Arc::clone(material));
        }
    }
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
