//! A steady load: jobs are created, approved and looked at through the public API, one after the other at a fixed rate, whatever becomes of
//! those before them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::demo::api::{Api, ApiError};
use crate::demo::photos::Photo;

/// Photos that are uploaded: two scenes at most.
const PHOTOS: usize = 4;
/// What the models would cost is not charged here, and the load shall not stop at the limit of a usual day.
const DAY_MICROS: i64 = 10_000_000_000;
/// Jobs on their way; with more, none is added until some are done. An outage of an hour must not fill the disk.
const MOST_LIVE: usize = 100;
const LOOK: Duration = Duration::from_secs(2);

/// What came of it so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) made: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) live: BTreeSet<i64>,
    /// The job that was made or ended last.
    pub(crate) last: i64,
}

/// The load, until it is dropped.
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    _tasks: JoinSet<()>,
}

impl Load {
    /// Begins: a client, a campaign, a few photos, and then a job every so often.
    pub(crate) async fn start(api: Api, photos: &[Photo], every: Duration) -> Result<Self, ApiError> {
        api.limit_day(DAY_MICROS).await?;
        let client = api.create_client("Steady load").await?;
        let campaign = api.create_campaign(&client, "One after the other").await?;
        for photo in photos.iter().take(PHOTOS) {
            api.upload(&campaign, photo).await?;
        }
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(one_after_the_other(api, campaign, every, tally.clone()));
        Ok(Self { tally, _tasks: tasks })
    }

    pub(crate) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn one_after_the_other(api: Api, campaign: String, every: Duration, tally: Arc<Mutex<Tally>>) {
    let mut jobs = JoinSet::new();
    let mut tick = tokio::time::interval(every);
    for number in 0_u64.. {
        tick.tick().await;
        while jobs.try_join_next().is_some() {}
        if jobs.len() < MOST_LIVE {
            jobs.spawn(one(api.clone(), order(&campaign, number), tally.clone()));
        }
    }
}

/// Mostly one clip without music; every fourth has two and music, every fifth finds its clip in the store.
fn order(campaign: &str, number: u64) -> Value {
    let is_long = number % 4 == 3;
    json!({
        "campaign_id": campaign, "num_pairs": if is_long { 2 } else { 1 }, "music": is_long, "clip_duration": 4, "resolution": "720p",
        "video_model": "veo-3.1-fast", "reuse": number % 5 == 4,
    })
}

async fn one(api: Api, order: Value, tally: Arc<Mutex<Tally>>) {
    let mut job = None;
    if let Err(error) = follow(&api, &order, &tally, &mut job).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            job_id = job,
            "a job of the load is not followed any more"
        );
    }
    if let Some(id) = job {
        lock(&tally).live.remove(&id);
    }
}

async fn follow(
    api: &Api,
    order: &Value,
    tally: &Mutex<Tally>,
    job: &mut Option<i64>,
) -> Result<(), ApiError> {
    let (id, _) = api.order(order).await?;
    *job = Some(id);
    {
        let mut tally = lock(tally);
        (tally.made, tally.last) = (tally.made + 1, id);
        tally.live.insert(id);
    }
    api.approve(id).await?;
    loop {
        tokio::time::sleep(LOOK).await;
        let status = api.job(id).await?.status;
        let mut tally = lock(tally);
        match status.as_str() {
            "completed" => tally.completed += 1,
            "failed" | "canceled" => tally.failed += 1,
            _ => continue,
        }
        tally.last = id;
        return Ok(());
    }
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_load_is_mixed() {
        let orders: Vec<_> = (0..20).map(|number| order("c", number)).collect();
        let count = |member: &str| orders.iter().filter(|order| order[member] == true).count();
        assert_eq!((count("music"), count("reuse")), (5, 4));
    }
}
