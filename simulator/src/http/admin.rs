//! The simulator's own controls, below `/_sim`.

use crate::clock::machine_time;
use crate::fault::Rule;
use crate::faults::Active;
use crate::fetch::Fetched;
use crate::http::problem;
use crate::id;
use crate::ledger::Charge;
use crate::record::{Detail, Fate, Record};
use crate::requests::Arrival;
use crate::sim::{Leak, Sim};
use crate::webhook::Try;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spool_provider::wire::{Prediction, PredictionStatus};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

type Shared = State<Arc<Sim>>;

/// `GET /_sim/healthz`
pub(crate) async fn healthz(State(sim): Shared) -> Json<Value> {
    Json(json!({"ok": true, "cdn": sim.origin.cdn, "now": sim.clock.now(), "speed": sim.config.speed}))
}

/// `GET /_sim/charges`: one object per prediction, oldest first.
pub(crate) async fn charges(State(sim): Shared) -> Json<Vec<Charge>> {
    Json(sim.ledger.all())
}

/// `GET /_sim/predictions`: all of them, oldest first.
pub(crate) async fn predictions(State(sim): Shared) -> Json<Vec<Prediction>> {
    let records = sim.book.oldest(0, usize::MAX, |_| true);
    Json(records.iter().map(|record| sim.show(record, Detail::Created)).collect())
}

/// `GET /_sim/webhooks`: every try.
pub(crate) async fn webhooks(State(sim): Shared) -> Json<Vec<Try>> {
    Json(sim.hooks.log())
}

/// `GET /_sim/requests`: when each request to the API arrived, oldest first.
pub(crate) async fn requests(State(sim): Shared) -> Json<Vec<Arrival>> {
    Json(sim.arrivals.all())
}

/// `GET /_sim/input-fetches`
pub(crate) async fn input_fetches(State(sim): Shared) -> Json<Vec<Fetched>> {
    Json(sim.fetches.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// `GET /_sim/leaks`: requests to the CDN that carried a token.
pub(crate) async fn leaks(State(sim): Shared) -> Json<Vec<Leak>> {
    Json(sim.leaks.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// `GET /_sim/faults`
pub(crate) async fn faults(State(sim): Shared) -> Json<Vec<Active>> {
    Json(sim.faults.all())
}

/// `POST /_sim/faults`: a rule or a list of rules, added to those in force.
pub(crate) async fn add_faults(State(sim): Shared, body: Bytes) -> Response {
    let read = |body: &[u8]| -> Result<Vec<Rule>, serde_json::Error> {
        match serde_json::from_slice(body)? {
            list @ Value::Array(_) => serde_json::from_value(list),
            one => Ok(vec![serde_json::from_value(one)?]),
        }
    };
    match read(&body) {
        Ok(rules) => Json(json!({"ids": sim.faults.add(rules)})).into_response(),
        Err(error) => problem::bad_request(&error.to_string()),
    }
}

/// `DELETE /_sim/faults`
pub(crate) async fn clear_faults(State(sim): Shared) -> Json<Value> {
    sim.faults.clear();
    Json(json!({"ok": true}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    count: usize,
}

/// `POST /_sim/release`: lets so many of the runs that a `hold` holds back end.
pub(crate) async fn release(State(sim): Shared, Json(release): Json<Release>) -> Json<Value> {
    sim.faults.release(release.count);
    Json(json!({"count": release.count}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outage {
    seconds: f64,
}

/// `POST /_sim/outage`: nothing listens on the API's port for so long, its controls included.
pub(crate) async fn outage(State(sim): Shared, Json(outage): Json<Outage>) -> Response {
    match Duration::try_from_secs_f64(outage.seconds) {
        Ok(length) => {
            sim.door.shut(length);
            Json(json!({"seconds": outage.seconds})).into_response()
        }
        Err(error) => problem::bad_request(&error.to_string()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credit {
    /// Micro-dollars left; null lifts the limit.
    left_micros: Option<i64>,
}

/// `POST /_sim/credit`
pub(crate) async fn credit(State(sim): Shared, Json(credit): Json<Credit>) -> Json<Value> {
    sim.set_credit(credit.left_micros);
    Json(json!({"left_micros": sim.credit_left()}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Advance {
    seconds: u32,
}

/// `POST /_sim/clock/advance`
pub(crate) async fn advance(State(sim): Shared, Json(advance): Json<Advance>) -> Response {
    match sim.clock.advance(advance.seconds) {
        Ok(()) => Json(json!({"now": sim.clock.now()})).into_response(),
        Err(error) => problem::bad_request(&format!("the clock could not be saved: {error}")),
    }
}

/// `POST /_sim/reset`: forgets predictions, charges, uploads, faults and logs. The clock and the secret stay.
pub(crate) async fn reset(State(sim): Shared) -> Json<Value> {
    sim.faults.clear();
    sim.book.clear().await;
    sim.ledger.clear().await;
    sim.files.clear();
    sim.hooks.clear_log();
    sim.arrivals.clear();
    sim.set_credit(None);
    sim.fetches.lock().unwrap_or_else(PoisonError::into_inner).clear();
    sim.leaks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    tokio::fs::remove_dir_all(sim.config.data_dir.join("outputs")).await.ok();
    Json(json!({"ok": true}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Foreign {
    count: u32,
}

/// `POST /_sim/predictions/foreign`: finished ones of somebody else in the same account. Not on the ledger.
pub(crate) async fn foreign(State(sim): Shared, Json(foreign): Json<Foreign>) -> Json<Value> {
    let now = sim.clock.now();
    for number in 0..foreign.count {
        let mut input = Map::new();
        input.insert("prompt".to_owned(), json!(format!("somebody else's picture {number}")));
        sim.book.insert(Record {
            seq: 0,
            id: id::prediction(),
            model: "black-forest-labs/flux-schnell".to_owned(),
            version: "hidden".to_owned(),
            input,
            logs: String::new(),
            files: Vec::new(),
            many: true,
            status: PredictionStatus::Succeeded,
            error: None,
            source: "web".to_owned(),
            created_at: now,
            starts_at: now,
            ends_at: now,
            started_at: Some(now),
            completed_at: Some(now),
            deadline: None,
            metrics: None,
            webhook: None,
            events: Vec::new(),
            fate: Fate::default(),
            cancel_requested: false,
            input_digest: None,
            webhook_due: false,
        });
    }
    Json(json!({"count": foreign.count, "at": machine_time()}))
}
