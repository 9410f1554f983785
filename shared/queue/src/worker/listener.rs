//! Hears the doorbell: one connection per worker, for all its queues.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgListener;

use crate::{
    bell::CHANNEL,
    worker::core::{Backoff, Core},
};

/// Nothing was heard for so long: is the connection still there? A peer that is gone without a word looks like a quiet queue.
const QUIET: Duration = Duration::from_secs(30);

pub(crate) async fn run(core: Arc<Core>) {
    let mut backoff = Backoff::new();
    loop {
        tokio::select! {
            heard = listen(&core, &mut backoff) => {
                if let Err(error) = heard {
                    core.failed("listen", &error);
                }
            }
            () = core.stopping.cancelled() => return,
        }
        tokio::select! {
            () = backoff.pause() => {}
            () = core.stopping.cancelled() => return,
        }
    }
}

async fn listen(core: &Core, backoff: &mut Backoff) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&core.watch.pool()).await?;
    listener.listen(CHANNEL).await?;
    backoff.reset();
    // Rings before this moment were not heard.
    core.wake_all();
    core.beat_now.notify_one();
    let quiet = QUIET.min(core.lease * 3);
    loop {
        let Ok(heard) = tokio::time::timeout(quiet, listener.try_recv()).await else {
            probe(core, &mut listener).await?;
            continue;
        };
        match heard? {
            Some(ring) => match ring.payload().strip_prefix("w ") {
                Some(queue) => core.wake(queue),
                None => core.beat_now.notify_one(),
            },
            None => return Ok(()),
        }
    }
}

/// What is heard meanwhile is kept for the next look.
async fn probe(core: &Core, listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let asked = sqlx::raw_sql("select 1").execute(listener);
    match tokio::time::timeout(core.longest_silence(), asked).await {
        Ok(answer) => answer.map(drop),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
