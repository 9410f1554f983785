//! The listener of this process: one connection that hears of changed jobs for everybody. It asks now and then whether it still hears,
//! for a connection that is gone without a word looks like jobs that do not change.

use std::time::{Duration, Instant};

use spool_db::error::DbError;
use spool_db::signals::JobSignals;
use tokio_util::sync::CancellationToken;

use super::Feed;
use crate::state::AppState;

/// How often it asks. Kept answers are vouched for up to the last time that it was answered.
const PROBE: Duration = Duration::from_millis(300);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a failure, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Listens until `stop`, through all outages of the database; then open streams are ended.
pub async fn keep(state: AppState, stop: CancellationToken) {
    // Not through a pooler in transaction mode: it would hand the connection to somebody else.
    if state.db.is_pooled() {
        stop.cancelled().await;
    } else {
        stop.run_until_cancelled(through_outages(&state)).await;
    }
    state.feed.closing.cancel();
}

async fn through_outages(state: &AppState) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        if let Err(error) = listen(state).await {
            tracing::warn!(error = %error, "changes of jobs are not heard of; readers look by themselves");
        }
        pause = if began.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

async fn listen(state: &AppState) -> Result<(), DbError> {
    let feed: &Feed = &state.feed;
    let mut signals = JobSignals::open(state.db.pool()).await?;
    let mut asked = Instant::now();
    // What was told before this moment was not heard.
    feed.heard_nothing();
    feed.vouch(asked);
    loop {
        let next = tokio::time::timeout_at((asked + PROBE).into(), signals.next()).await;
        if let Ok(heard) = next {
            let Some(job) = heard? else { return Ok(()) };
            feed.heard(job);
            continue;
        }
        asked = Instant::now();
        let Ok(heard) = tokio::time::timeout(PATIENCE, signals.probe()).await else { return Ok(()) };
        for job in heard? {
            feed.heard(job);
        }
        feed.vouch(asked);
    }
}
