//! `hook_log`: keep the log of webhooks. What ended long ago goes; what is due and has lost its task is sent on its way again.

use super::deliver;
use crate::context::Context;
use serde_json::json;
use spool_db::hooks::log;
use spool_job::tasks::TaskKind;
use spool_queue::{Batch, Bell, Done, Failure, Handler, Outcome, RetryPolicy, Run};
use std::sync::Arc;
use std::time::Duration;

/// For so long it can be seen what became of a webhook.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// A delivery that has been due for so long is looked at.
const OVERDUE: Duration = Duration::from_secs(15 * 60);
/// Rows of one transaction.
const BATCH: i64 = 1000;

/// The step.
pub(super) struct HookLog(pub(super) Arc<Context>);

impl Handler for HookLog {
    const KIND: &'static str = TaskKind::HookLog.as_str();
    const QUEUE: &'static str = TaskKind::HookLog.queue();
    const TIMEOUT: Duration = Duration::from_secs(300);
    /// The next sweep comes by itself.
    const RETRY: RetryPolicy = RetryPolicy::new(2, &[30]);
    type Payload = ();

    async fn run(&self, (): (), run: Run) -> Result<Done, Failure> {
        let dropped = self.drop_old(&run).await?;
        let revived = self.revive().await?;
        Ok(Outcome::Done(json!({"dropped": dropped, "revived": revived})).into())
    }
}

impl HookLog {
    async fn drop_old(&self, run: &Run) -> Result<u64, Failure> {
        let mut dropped = 0;
        loop {
            let mut tx = self.0.pool.begin().await?;
            let gone = log::drop_old(&mut tx, KEPT, BATCH).await?;
            run.check(&mut tx).await?;
            tx.commit().await?;
            dropped += gone;
            if gone < BATCH.unsigned_abs() {
                return Ok(dropped);
            }
        }
    }

    /// Enqueues them all: one whose task is there already keeps it.
    async fn revive(&self) -> Result<usize, Failure> {
        let (mut after, mut revived) = (0, 0);
        loop {
            let mut tx = self.0.pool.begin().await?;
            let overdue = log::overdue(&mut tx, OVERDUE, after, BATCH).await?;
            let Some(last) = overdue.last() else { return Ok(revived) };
            after = last.place;
            let mut batch = Batch::new();
            for one in &overdue {
                batch.add(deliver::of(one.id, one.endpoint_id));
            }
            let enqueued = batch.insert(&mut tx).await?;
            let new = overdue.len() - enqueued.existing.len();
            tx.commit().await?;
            let bell: Bell = enqueued.bell;
            bell.ring(&self.0.pool).await;
            if new > 0 {
                tracing::warn!(count = new, "webhooks had lost their tasks and are sent on their way again");
            }
            revived += new;
        }
    }
}
