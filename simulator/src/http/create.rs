//! Creating a prediction, by any of its three routes. The purchase is on disk before the answer goes out.

use crate::fault::{Fault, Route, Stage};
use crate::faults::Call;
use crate::fetch;
use crate::http::{gate, options, problem};
use crate::id;
use crate::model::Model;
use crate::net::Cut;
use crate::record::{Detail, Failure, Fate, Record};
use crate::run;
use crate::schema;
use crate::sim::Sim;
use crate::webhook;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use spool_provider::wire::{CreatePrediction, PredictionStatus, WebhookEvent};
use std::sync::Arc;
use std::time::Duration;

type Shared = State<Arc<Sim>>;
type Connection = ConnectInfo<Cut>;

/// `POST /v1/models/{owner}/{name}/predictions`: official models only.
pub(crate) async fn by_model(
    State(sim): Shared,
    ConnectInfo(cut): Connection,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let slug = format!("{owner}/{name}");
    let asked = match read(&body, false) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    match sim.models.by_slug(&slug).filter(|model| model.official) {
        Some(model) => create(&sim, &cut, model, &headers, asked).await,
        None => problem::not_found("The requested resource could not be found."),
    }
}

/// `POST /v1/predictions`: any model by its version; official ones by name too.
pub(crate) async fn by_version(
    State(sim): Shared,
    ConnectInfo(cut): Connection,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = match read(&body, true) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    match asked.version.as_deref().and_then(|version| sim.models.by_version(version)) {
        Some(model) => create(&sim, &cut, model, &headers, asked).await,
        None => problem::unknown_version(),
    }
}

/// `POST /v1/deployments/{owner}/{name}/predictions`: every model is deployed under its own name by everyone.
pub(crate) async fn by_deployment(
    State(sim): Shared,
    ConnectInfo(cut): Connection,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = match read(&body, false) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    match sim.models.all().iter().find(|model| model.slug.ends_with(&format!("/{name}"))) {
        Some(model) => create(&sim, &cut, model, &headers, asked).await,
        None => problem::not_found("The requested resource could not be found."),
    }
}

fn read(body: &[u8], with_version: bool) -> Result<CreatePrediction, Box<Response>> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Box::new(problem::bad_request(&format!("JSON parse error - {error}"))))?;
    options::body(&value, with_version).map_err(|wrong| Box::new(problem::invalid(&wrong)))
}

async fn create(
    sim: &Arc<Sim>,
    cut: &Cut,
    model: &Model,
    headers: &HeaderMap,
    asked: CreatePrediction,
) -> Response {
    let input = Value::Object(asked.input.clone()).to_string();
    let call =
        Call { route: Some(Route::Create), model: Some(&model.slug), input: Some(&input), event: None };
    let faults = sim.strike(Stage::Http, call);
    if let Some(response) = gate::before(&faults, cut).await {
        return response;
    }
    let wrong = schema::check(model, &asked.input);
    if !wrong.is_empty() {
        return problem::invalid(&wrong);
    }
    let (prefer, cancel_after) = match (options::prefer(headers), options::cancel_after(headers)) {
        (Ok(prefer), Ok(cancel_after)) => (prefer, cancel_after),
        (Err(text), _) | (_, Err(text)) => return problem::bad_request(&text),
    };
    if sim.credit_left().is_some_and(|left| left <= 0) {
        return problem::no_credit();
    }
    let record = sim.book.insert(fresh(sim, model, asked, cancel_after, sim.strike(Stage::Run, call)));
    let purchase = run::purchase(model, &record, 0, 0);
    // In a task of its own: a caller that hangs up here must not stop what it has begun.
    let begun = sim.tasks.spawn({
        let (sim, record) = (Arc::clone(sim), record.clone());
        async move {
            sim.ledger.write(purchase).await;
            webhook::report(&sim, &record, WebhookEvent::Start);
            run::spawn(&sim, record.id.clone());
        }
    });
    if let Err(error) = begun.await {
        tracing::error!(%error, external_id = record.id, "the prediction did not begin");
    }
    let shown = match prefer {
        Some(seconds) if !faults.iter().any(|fault| matches!(fault, Fault::DropResponse { .. })) => {
            wait(sim, &record.id, Duration::from_secs(seconds)).await.unwrap_or(record)
        }
        _ => record,
    };
    gate::after(&faults, cut, answer(sim, &shown, prefer)).await
}

fn answer(sim: &Sim, record: &Record, prefer: Option<u64>) -> Response {
    let shown = sim.show(record, Detail::Created);
    let location = HeaderValue::from_str(&shown.urls.get);
    let mut response = (StatusCode::CREATED, Json(shown)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if let Some(applied) = prefer.and_then(|seconds| HeaderValue::from_str(&format!("wait={seconds}")).ok()) {
        response.headers_mut().insert("preference-applied", applied);
    }
    response
}

/// Waits until the prediction is final, at most this long, and returns how it stands then.
pub(crate) async fn wait(sim: &Sim, id: &str, most: Duration) -> Option<Record> {
    let mut changed = sim.book.watch(id)?;
    let end = async {
        while !sim.book.get(id).is_none_or(|record| record.status.is_terminal()) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = end => {}
        () = tokio::time::sleep(most) => {}
        () = sim.shutdown.cancelled() => {}
    }
    sim.book.get(id)
}

fn fresh(
    sim: &Sim,
    model: &Model,
    asked: CreatePrediction,
    cancel_after: Option<Duration>,
    faults: Vec<Fault>,
) -> Record {
    let created_at = sim.clock.now();
    let input_digest = fetch::digest_without_media(model, &asked.input);
    let mut run_ms = model.run_ms_for(&model.with_defaults(&asked.input));
    let mut fate = Fate::default();
    for fault in faults {
        match fault {
            Fault::Hold => fate.held = true,
            Fault::RunTime { seconds } => run_ms = (seconds.max(0.0) * 1000.0) as u64,
            Fault::GpuTime { seconds } => fate.gpu_ms = Some((seconds.max(0.0) * 1000.0) as u64),
            Fault::StuckStarting => fate.stuck_in = Some(PredictionStatus::Starting),
            Fault::StuckProcessing => fate.stuck_in = Some(PredictionStatus::Processing),
            Fault::Fail { error, before_start, charge } => {
                fate.failure = Some(Failure { error, before_start, charge });
            }
            Fault::E6716Above { n } => fate.crowd = Some(n),
            Fault::BadOutput { output } => fate.bad_output = Some(output),
            _ => {}
        }
    }
    let starts_at = created_at + sim.scaled(model.start_ms);
    Record {
        seq: 0,
        id: id::prediction(),
        model: model.slug.clone(),
        version: model.shown_version().to_owned(),
        input: asked.input,
        logs: String::new(),
        files: Vec::new(),
        many: model.output["type"] == "array",
        status: PredictionStatus::Starting,
        error: None,
        source: "api".to_owned(),
        created_at,
        starts_at,
        ends_at: starts_at + sim.scaled(run_ms),
        started_at: None,
        completed_at: None,
        deadline: cancel_after.map(|after| created_at + after),
        metrics: None,
        events: asked
            .webhook_events_filter
            .unwrap_or_else(|| vec![WebhookEvent::Output, WebhookEvent::Completed]),
        webhook: asked.webhook,
        fate,
        cancel_requested: false,
        input_digest,
        webhook_due: false,
    }
}
