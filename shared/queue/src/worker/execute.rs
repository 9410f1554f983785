//! Runs one claimed task: its handler, its time, its end.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use tokio::sync::mpsc;

use crate::{
    ending::End,
    handler::Completion,
    lack::{NO_HANDLER, NO_VERSION},
    metrics,
    outcome::{Done, Failure, Outcome},
    retry::RetryPolicy,
    run::{Around, Run, Shared, StopReason},
    worker::{
        completer::{self, Ended},
        core::{Claimed, Core, Lane},
    },
};

/// How long a handler may go on after it was told to stop.
const CANCEL_GRACE: Duration = Duration::from_secs(10);
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// A kind or a version that nobody here knows comes back later, perhaps to a newer worker.
const UNKNOWN_KIND: Duration = Duration::from_secs(60);

pub(crate) async fn execute(core: Arc<Core>, lane: Arc<Lane>, ended: mpsc::Sender<Ended>, claimed: Claimed) {
    let Claimed { claim, shared } = claimed;
    let of_kind = core.handlers.get(claim.kind.as_str()).filter(|handler| handler.queue == lane.queue);
    let known = of_kind.filter(|handler| handler.version >= claim.version);
    let policy = known.map_or(RetryPolicy::DEFAULT, |handler| handler.retry);
    let timeout = claim.timeout.or(known.map(|handler| handler.timeout)).unwrap_or_default();
    let run = Run::new(
        claim,
        policy,
        timeout,
        core.pool.clone(),
        Arc::clone(&shared),
        Around::Worker(Arc::clone(&core.board)),
    );
    let completion = known.map_or(Completion::Batched, |handler| handler.completion);
    let end = match known {
        _ if core.stopping.is_cancelled() => Some(End::HandBack),
        None => Some(End::Said(stranger(&core, &run, of_kind.map(|handler| handler.version)))),
        Some(handler) => {
            let mut running =
                AssertUnwindSafe(Arc::clone(&handler.handler).start(run.clone())).catch_unwind();
            let end = tokio::select! {
                biased;
                said = &mut running => said_to_end(said, &shared),
                reason = told_to_stop(&shared) => stopped_to_end(reason),
                () = tokio::time::sleep(timeout) => Some(End::Broken {
                    class: "timeout",
                    error: format!("took longer than {} s", timeout.as_secs_f64()),
                }),
            };
            // Destructors of a handler that was cut off may panic too.
            drop(catch_unwind(AssertUnwindSafe(move || drop(running))));
            end
        }
    };
    let alone = completion == Completion::Alone;
    let ended_run = Ended { run, end };
    if alone || ended_run.end.is_none() {
        // Some kilobytes, which every other run would carry along: of its work moving and freeing them was the largest part.
        Box::pin(completer::alone(&core, ended_run)).await;
        lane.free.add_permits(1);
    } else {
        // Waits when the database cannot follow: no more is claimed than can be recorded.
        drop(ended.send(ended_run).await);
        lane.free.add_permits(1);
    }
}

/// It is never lost: it comes back, and is reported once and counted each time.
fn stranger(core: &Core, run: &Run, newest: Option<i16>) -> Outcome {
    let (name, kind, version) = (&core.name, run.kind(), run.version());
    let why = match newest {
        None => format!("worker {name}{NO_HANDLER}{kind}"),
        Some(newest) => {
            format!("worker {name} knows {kind}{NO_VERSION}{newest}, this one has {version}")
        }
    };
    metrics::unknown();
    if core.is_new_stranger(kind, version) {
        tracing::warn!(
            task_id = run.task_id().0,
            kind,
            version,
            why,
            "a task that nobody here can do; parked"
        );
    }
    Outcome::park_in(UNKNOWN_KIND, why)
}

/// None: nothing is left to write.
fn said_to_end(said: Result<Result<Done, Failure>, Box<dyn Any + Send>>, shared: &Shared) -> Option<End> {
    match said {
        Ok(Ok(Done::Committed(_))) => None,
        Ok(Ok(Done::Outcome(outcome))) => Some(End::Said(outcome)),
        Ok(Err(failure)) => Some(match shared.reason() {
            // It failed because it was told to stop.
            Some(StopReason::Shutdown) => End::HandBack,
            _ => End::Said(failure.into()),
        }),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Some(End::Broken {
                class: "panic",
                error: text.unwrap_or_else(|| "the handler panicked".to_owned()),
            })
        }
    }
}

/// Comes when a handler that was told to stop has not done so in time.
async fn told_to_stop(shared: &Shared) -> StopReason {
    shared.stop.cancelled().await;
    let reason = shared.reason().unwrap_or(StopReason::Canceled);
    let grace = if reason == StopReason::Shutdown { SHUTDOWN_GRACE } else { CANCEL_GRACE };
    tokio::time::sleep(grace).await;
    reason
}

fn stopped_to_end(reason: StopReason) -> Option<End> {
    match reason {
        // The reason that was given stands in the row.
        StopReason::Canceled | StopReason::Shutdown => Some(End::HandBack),
        StopReason::LeaseLost => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F, R>(_: F) -> usize
    where
        F: Fn(Arc<Core>, Arc<Lane>, mpsc::Sender<Ended>, Claimed) -> R,
    {
        size_of::<R>()
    }

    #[test]
    fn a_run_carries_nothing_along_that_only_some_need() {
        assert!(size_of_future(execute) < 1500, "{} bytes for each running task", size_of_future(execute));
    }
}
