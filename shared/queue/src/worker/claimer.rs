//! Claims tasks of one queue: as many as there are free slots, never more.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use apalis_core::task::{Task, builder::TaskBuilder};
use tokio::sync::mpsc;

use crate::{
    claim::{self, Claims, Place},
    metrics,
    worker::{
        core::{Backoff, Claimed, Core, Lane},
        cursor::Cursor,
    },
};

/// More than this in one statement gains nothing and makes others wait.
const LARGEST: usize = 500;

pub(crate) async fn run(core: Arc<Core>, lane: Arc<Lane>, tasks: mpsc::Sender<Task<Claimed>>) {
    let mut backoff = Backoff::new();
    let mut cursor = Cursor::new(Instant::now());
    loop {
        let first = tokio::select! {
            permit = lane.free.acquire() => permit,
            () = core.stopping.cancelled() => return,
        };
        let Ok(first) = first else { return };
        let more = lane.free.available_permits().min(LARGEST - 1);
        let more = lane.free.try_acquire_many(more as u32).ok();
        let wanted = 1 + more.as_ref().map_or(0, tokio::sync::SemaphorePermit::num_permits);
        let started = Instant::now();
        let from = cursor.place(started);
        let Claims { taken: claims, again, last } = match claim_once(&core, &lane, from, wanted).await {
            Ok(claims) => claims,
            Err(error) => {
                drop((first, more));
                core.failed("claim", &error);
                tokio::select! {
                    () = backoff.pause() => continue,
                    () = core.stopping.cancelled() => return,
                }
            }
        };
        backoff.reset();
        let short = claims.len() < wanted;
        let ended = Instant::now();
        cursor.looked(from, last, started, ended);
        // The slots of the claimed tasks are given back when they end; the others at once.
        first.forget();
        if let Some(more) = more {
            more.forget();
        }
        lane.free.add_permits(wanted - claims.len());
        if !claims.is_empty() {
            core.claimed.fetch_add(claims.len() as u64, Ordering::Relaxed);
            let known = |kind: &str| core.handlers.contains_key(kind);
            let seen = claims
                .iter()
                .map(|claim| (Some(claim.kind.as_str()).filter(|kind| known(kind)), claim.waited));
            metrics::claimed(&lane.queue, started, seen);
            metrics::slots_free(&lane.queue, lane.free.available_permits());
        }
        for claimed in core.admit(claims) {
            // The receiver lives as long as the worker: it ends after this loop.
            if tasks.send(TaskBuilder::new(claimed).build()).await.is_err() {
                return;
            }
        }
        if short {
            let pauses = [again, cursor.again(from, ended)];
            tokio::select! {
                () = lane.wake.notified() => {}
                () = after(pauses.into_iter().flatten().min()) => {}
                () = core.stopping.cancelled() => return,
            }
        }
    }
}

async fn after(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// An answer that comes later than half a lease is not waited for: the heartbeat hands such tasks back.
async fn claim_once(core: &Core, lane: &Lane, from: Place, wanted: usize) -> Result<Claims, sqlx::Error> {
    let mut session = core.work.open().await?;
    let asked = async {
        if lane.is_limited() {
            claim::claim_limited(&mut session, core.id(), &lane.queue, wanted, &lane.kinds).await
        } else {
            claim::claim(&mut session, core.id(), &lane.queue, from, wanted, &lane.kinds).await
        }
    };
    match tokio::time::timeout(core.lease / 2, asked).await {
        Ok(Ok(claims)) => {
            session.done().await?;
            Ok(claims)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            core.work.abandon(session);
            Err(sqlx::Error::PoolTimedOut)
        }
    }
}
