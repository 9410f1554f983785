//! Hears the doorbell: one connection per worker, for all its queues.

use std::sync::Arc;

use sqlx::postgres::PgListener;

use crate::{
    bell::CHANNEL,
    worker::core::{Backoff, Core},
};

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
    loop {
        match listener.try_recv().await? {
            Some(ring) => match ring.payload().strip_prefix("w ") {
                Some(queue) => core.wake(queue),
                None => core.beat_now.notify_one(),
            },
            None => return Ok(()),
        }
    }
}
