//! `recall`: wind up a prediction whose job was called off, or whose own task is gone.

use crate::context::Context;
use crate::crash::crash_point;
use crate::origin;
use crate::purchase::recall;
use spool_job::tasks::{PAYLOAD_VERSION, RecallTask, TaskKind, group_key};
use spool_queue::{Done, Failure, Handler, NewTask, RetryPolicy, Run};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The step.
pub(super) struct Recall(pub(super) Arc<Context>);

impl Handler for Recall {
    const KIND: &'static str = TaskKind::Recall.as_str();
    const QUEUE: &'static str = TaskKind::Recall.queue();
    /// One look; the waiting in between is done parked.
    const TIMEOUT: Duration = Duration::from_secs(120);
    /// It holds money: it is never given up.
    const RETRY: RetryPolicy = RetryPolicy::new(10_000, &[2, 5, 15, 45, 120]);
    type Payload = RecallTask;

    async fn run(&self, task: RecallTask, run: Run) -> Result<Done, Failure> {
        recall::take_over(&self.0, &run, task.prediction_id).await?;
        crash_point!(RecallBegun);
        recall::advance(&self.0, &run, task.prediction_id).await
    }
}

/// The task for a prediction; one at a time.
pub(crate) fn of(job_id: i64, prediction_id: Uuid) -> NewTask {
    let payload = RecallTask { job_id, prediction_id, origin: origin::current() };
    NewTask::new(TaskKind::Recall.as_str(), TaskKind::Recall.queue(), PAYLOAD_VERSION, &payload)
        .group_key(group_key(job_id))
        .unique_key(prediction_id.to_string())
}
