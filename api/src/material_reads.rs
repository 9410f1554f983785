//! What storyboards are made from is read for all who ask at the same time by one statement: most of what such a read costs is its beginning
//! and its end, and many jobs are asked for in one campaign. Who asks alone waits for nobody, and nobody is told what was read before
//! they asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use spool_db::material::{self, Material};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use crate::database::Database;
use crate::error::ApiError;

/// Groups at the same time; what comes meanwhile is the next one's.
const READERS: usize = 2;
/// Most askers of a group: each may want the photos of another campaign.
const MOST: usize = 32;
/// Most that wait; who comes then waits to wait.
const QUEUE: usize = 1024;

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
    asks: mpsc::Sender<Ask>,
}

impl MaterialReads {
    /// Starts the readers; they end with the last handle.
    pub fn new(db: &Database) -> Self {
        let (asks, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..READERS {
            tokio::spawn(read_all(db.clone(), Arc::clone(&queue)));
        }
        Self { asks }
    }

    /// Of a campaign as it is after this was called; with `owner`, only if it belongs to that client.
    pub async fn of_campaign(
        &self,
        campaign: Uuid,
        owner: Option<Uuid>,
    ) -> Result<Option<Arc<Material>>, ApiError> {
        let (told, found) = oneshot::channel();
        let ended = |_| ApiError::internal("the readers of photos have ended");
        let asked = async {
            self.asks.send(Ask { campaign, told }).await.map_err(ended)?;
            found.await.map_err(ApiError::internal)?
        };
        let slow = |_| ApiError::unavailable("the database", "too many ask for photos at the same time");
        let found = timeout(PATIENCE, asked).await.map_err(slow)??;
        Ok(found.filter(|material| owner.is_none_or(|owner| owner == material.client_id)))
    }
}

async fn read_all(db: Database, queue: Arc<Mutex<mpsc::Receiver<Ask>>>) {
    loop {
        let mut group = Vec::new();
        if queue.lock().await.recv_many(&mut group, MOST).await == 0 {
            return;
        }
        let db = db.clone();
        // On a task of its own: if it breaks, its askers are told so, and the next group is read.
        tokio::spawn(async move { answer(&db, group).await }).await.ok();
    }
}

async fn answer(db: &Database, mut group: Vec<Ask>) {
    // Who has gone asks again.
    group.retain(|ask| !ask.told.is_closed());
    if group.is_empty() {
        return;
    }
    let read = match read(db, &group).await {
        // One lost connection is not to fail all of them; a second error is.
        Err(_) => self::read(db, &group).await,
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
