//! `orphans`: look for predictions at the provider that bear our mark and that no row knows.

use crate::context::Context;
use crate::purchase::orphan;
use serde_json::json;
use spool_job::tasks::TaskKind;
use spool_queue::{Done, Failure, Handler, Outcome, RetryPolicy, Run};
use std::sync::Arc;
use std::time::Duration;

/// The step.
pub(super) struct Orphans(pub(super) Arc<Context>);

impl Handler for Orphans {
    const KIND: &'static str = TaskKind::Orphans.as_str();
    const QUEUE: &'static str = TaskKind::Orphans.queue();
    const TIMEOUT: Duration = Duration::from_secs(300);
    /// The next sweep comes by itself.
    const RETRY: RetryPolicy = RetryPolicy::new(2, &[30]);
    type Payload = ();

    async fn run(&self, (): (), run: Run) -> Result<Done, Failure> {
        let swept = orphan::sweep(&self.0, &run).await?;
        Ok(Outcome::Done(json!({"seen": swept.seen, "adopted": swept.adopted, "canceled": swept.canceled}))
            .into())
    }
}
