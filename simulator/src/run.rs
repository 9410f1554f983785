//! The life of a prediction: starting, processing, and an end that is on the ledger before anyone can see it.
//! Whatever is written in its record is enough to go on after a restart.

use crate::fetch;
use crate::ledger::Charge as Purchase;
use crate::measure::{self, Quantity};
use crate::model::{Family, Model};
use crate::price::{self, Charge};
use crate::record::{OutputFile, Record};
use crate::rules;
use crate::sim::Sim;
use crate::studio::{Order, StudioError};
use crate::webhook;
use serde_json::{Map, Value};
use spool_provider::wire::{PredictionStatus as Status, WebhookEvent};
use std::path::Path;
use std::sync::Arc;

/// Error text of a start that never came to be.
const CROWDED: &str = "Director: unexpected error handling prediction (E6716)";

/// How a run ended.
enum End {
    Succeeded(Vec<OutputFile>),
    Failed { error: String, charge: Charge },
    Stopped,
    Deadline,
}

/// Goes on with a prediction in the background until it is final.
pub(crate) fn spawn(sim: &Arc<Sim>, id: String) {
    let sim = Arc::clone(sim);
    sim.tasks.clone().spawn(async move {
        tokio::select! {
            () = sim.shutdown.cancelled() => {}
            () = live(&sim, &id) => {}
        }
    });
}

/// Takes up everything that a previous process left unfinished.
pub(crate) async fn resume(sim: &Arc<Sim>) {
    let unfinished = |record: &Record| !record.status.is_terminal() || record.webhook_due;
    for record in sim.book.oldest(0, usize::MAX, |record| record.source == "api" && unfinished(record)) {
        if !sim.ledger.has(&record.id)
            && let Some(model) = sim.model_of(&record)
        {
            sim.ledger.write(purchase(model, &record, 0, 0)).await;
        }
        spawn(sim, record.id);
    }
}

async fn live(sim: &Arc<Sim>, id: &str) {
    let Some(record) = sim.book.get(id) else { return };
    if record.status.is_terminal() {
        webhook::report(sim, &record, WebhookEvent::Completed);
        return;
    }
    let Some(model) = sim.model_of(&record) else {
        tracing::error!(external_id = id, model = record.model, "a stored prediction names an unknown model");
        return;
    };
    let input = model.with_defaults(&record.input);
    let end = outcome(sim, model, &record, &input).await;
    close(sim, model, id, &input, end).await;
}

async fn outcome(sim: &Arc<Sim>, model: &Model, record: &Record, input: &Map<String, Value>) -> End {
    let Some(stop) = sim.book.stop_of(&record.id) else { return End::Stopped };
    let run = async {
        if record.status == Status::Starting
            && let Err(failed) = start(sim, record).await
        {
            return failed;
        }
        process(sim, model, record, input).await
    };
    let deadline = async {
        match record.deadline {
            Some(at) => sim.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => End::Stopped,
        end = run => end,
        () = deadline => End::Deadline,
    }
}

async fn start(sim: &Arc<Sim>, record: &Record) -> Result<(), End> {
    if record.fate.stuck_in == Some(Status::Starting) {
        std::future::pending::<()>().await;
    }
    sim.clock.sleep_until(record.starts_at).await;
    if record.fate.crowd.is_some_and(|most| sim.book.running_before(record) >= most) {
        return Err(End::Failed { error: CROWDED.to_owned(), charge: Charge::None });
    }
    if let Some(failure) = record.fate.failure.as_ref().filter(|failure| failure.before_start) {
        let charge = failure.charge.unwrap_or(Charge::None);
        return Err(End::Failed { error: failure.error.clone(), charge });
    }
    let now = sim.clock.now();
    let started = sim.book.change(&record.id, |record| {
        record.status = Status::Processing;
        record.started_at = Some(now);
        record.logs = format!("Running {}...\n", record.model);
    });
    if let Some(started) = started {
        webhook::report(sim, &started, WebhookEvent::Logs);
    }
    Ok(())
}

async fn process(sim: &Arc<Sim>, model: &Model, record: &Record, input: &Map<String, Value>) -> End {
    let work = async {
        if let Some(error) = rules::refusal(model, input) {
            return Err(End::Failed { error, charge: Charge::None });
        }
        make(sim, model, record, input).await
    };
    let made = match work.await {
        Ok(made) => made,
        Err(failed) => return failed,
    };
    if record.fate.stuck_in == Some(Status::Processing) {
        std::future::pending::<()>().await;
    }
    sim.clock.sleep_until(record.ends_at).await;
    if record.fate.held {
        sim.faults.let_go().await;
    }
    match &record.fate.failure {
        Some(failure) => {
            let charge = failure.charge.unwrap_or_else(|| price::of_failure(&failure.error));
            End::Failed { error: failure.error.clone(), charge }
        }
        None => End::Succeeded(made),
    }
}

async fn make(
    sim: &Arc<Sim>,
    model: &Model,
    record: &Record,
    input: &Map<String, Value>,
) -> Result<Vec<OutputFile>, End> {
    let broken = |error: &dyn std::error::Error| {
        tracing::error!(external_id = record.id, %error, "no output could be made");
        let error = "Director: unexpected error handling prediction (E1000)".to_owned();
        End::Failed { error, charge: Charge::None }
    };
    let dir = sim.output_dir(&record.id);
    let fetched = dir.join("inputs");
    tokio::fs::create_dir_all(&fetched).await.map_err(|error| broken(&error))?;
    let media = fetch::inputs(sim, model, record, &fetched)
        .await
        .map_err(|error| End::Failed { error, charge: Charge::None })?;
    if let Some(record) =
        sim.book.change(&record.id, |record| record.input_digest = Some(media.digest.clone()))
    {
        sim.ledger.write(purchase(model, &record, 0, 0)).await;
    }
    let order = Order { id: &record.id, model, input, media: &media, dir: &dir };
    // Asked to fail in the end: the time passes, but nobody will see the output.
    let made = if record.fate.failure.is_some() { Ok(Vec::new()) } else { sim.studio.make(&order).await };
    forget(&fetched).await;
    made.map_err(|error| match error {
        StudioError::Input(error) => End::Failed { error, charge: Charge::None },
        StudioError::Ffmpeg(_) | StudioError::Write(_) => broken(&error),
    })
}

async fn close(sim: &Arc<Sim>, model: &Model, id: &str, input: &Map<String, Value>, end: End) {
    let Some(mut record) = sim.book.get(id) else { return };
    let now = sim.clock.now();
    let ran = record.started_at.is_some();
    let full_ms = model.run_ms_for(input);
    let elapsed_ms = record.started_at.map_or(0, |at| simulated_ms(sim, now - at).min(full_ms));
    let gpu_ms = record.fate.gpu_ms.filter(|_| model.family == Family::Musicgen);
    record.completed_at = Some(now);
    record.webhook_due = true;
    let charge = match end {
        End::Succeeded(files) => {
            record.status = Status::Succeeded;
            record.files = files;
            record.metrics = Some(match gpu_ms {
                Some(ms) => measure::times(ms, model.start_ms + ms),
                None => measure::metrics(model, input),
            });
            Charge::Full
        }
        End::Failed { error, charge } => {
            record.status = Status::Failed;
            record.logs.push_str(&error);
            record.error = Some(error);
            record.metrics = ran.then(|| measure::times(elapsed_ms, model.start_ms + elapsed_ms));
            charge
        }
        End::Stopped | End::Deadline => {
            let aborted = matches!(end, End::Deadline) && !ran;
            record.status = if aborted { Status::Aborted } else { Status::Canceled };
            record.metrics = ran.then(|| measure::times(elapsed_ms, model.start_ms + elapsed_ms));
            if ran { price::of_cancel(model) } else { Charge::None }
        }
    };
    let (milli, cost) = match (charge, gpu_ms) {
        (Charge::Full, Some(milli)) => {
            (milli, price::cost(Quantity { milli, unit: "gpu_second" }, price::per_unit(model, input)))
        }
        _ => billed(model, input, charge, elapsed_ms, full_ms),
    };
    sim.ledger.write(purchase(model, &record, milli, cost)).await;
    let closed = sim.book.change(id, |kept| *kept = record);
    let Some(closed) = closed else { return };
    if closed.status == Status::Succeeded {
        webhook::report(sim, &closed, WebhookEvent::Output);
    } else {
        forget(&sim.output_dir(id)).await;
    }
    webhook::report(sim, &closed, WebhookEvent::Completed);
}

/// Thousandths of a unit and micro-dollars.
fn billed(
    model: &Model,
    input: &Map<String, Value>,
    charge: Charge,
    elapsed_ms: u64,
    full_ms: u64,
) -> (u64, u64) {
    let whole = measure::quantity(model, input);
    let milli = match charge {
        Charge::None => 0,
        Charge::Full => whole.milli,
        Charge::Partial => whole.milli * elapsed_ms / full_ms.max(1),
    };
    (milli, price::cost(Quantity { milli, unit: whole.unit }, price::per_unit(model, input)))
}

/// The ledger's row for a prediction as it stands.
pub(crate) fn purchase(model: &Model, record: &Record, milli: u64, cost_micros: u64) -> Purchase {
    let unit = measure::quantity(model, &model.with_defaults(&record.input)).unit;
    Purchase {
        prediction_id: record.id.clone(),
        model: record.model.clone(),
        input_digest: record.input_digest.clone(),
        units: Quantity { milli, unit }.number(),
        unit: unit.to_owned(),
        cost_micros,
        status: record.status.as_str().to_owned(),
        created_at: record.created_at,
    }
}

fn simulated_ms(sim: &Sim, real: chrono::TimeDelta) -> u64 {
    (real.num_milliseconds().max(0) as f64 * sim.config.speed) as u64
}

async fn forget(dir: &Path) {
    if let Err(error) = tokio::fs::remove_dir_all(dir).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %dir.display(), %error, "could not delete");
    }
}
