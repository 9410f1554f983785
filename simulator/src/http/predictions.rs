//! Reading, listing and cancelling predictions.

use crate::fault::{Fault, Route, Stage};
use crate::faults::Call;
use crate::http::{create, problem};
use crate::record::{Detail, Record};
use crate::sim::Sim;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use spool_provider::wire::{Page, Prediction};
use std::sync::Arc;
use std::time::Duration;

/// Rows of a page; the service does not let anyone choose.
const PAGE: usize = 100;
/// How long a cancel waits for the run to notice.
const CANCEL_WAIT: Duration = Duration::from_secs(2);

type Shared = State<Arc<Sim>>;

/// `GET /v1/predictions/{id}`
pub(crate) async fn get(State(sim): Shared, Path(id): Path<String>) -> Response {
    match sim.book.get(&id) {
        Some(record) => Json(sim.show(&record, Detail::Full)).into_response(),
        None => problem::not_found("Prediction not found."),
    }
}

/// `POST /v1/predictions/{id}/cancel`. A final prediction stays as it is.
pub(crate) async fn cancel(State(sim): Shared, Path(id): Path<String>) -> Response {
    let Some(record) = sim.book.get(&id) else { return problem::not_found("Prediction not found.") };
    let call = Call { route: Some(Route::Cancel), model: Some(&record.model), ..Call::default() };
    if !sim.strike(Stage::Cancel, call).contains(&Fault::CancelIgnored) {
        sim.book.change(&id, |record| record.cancel_requested = true);
        create::wait(&sim, &id, CANCEL_WAIT).await;
    }
    let record = sim.book.get(&id).unwrap_or(record);
    Json(sim.show(&record, Detail::Full)).into_response()
}

/// Query of the first page; later pages carry a cursor.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Filter {
    cursor: Option<String>,
    created_after: Option<DateTime<Utc>>,
    created_before: Option<DateTime<Utc>>,
}

/// What a cursor hides: where to go on, and the filter of the first page.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// Older than this number.
    below: Option<u64>,
    /// Newer than this number.
    above: Option<u64>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    fn url(&self, sim: &Sim) -> String {
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        format!("{}/v1/predictions?cursor={text}", sim.origin.api)
    }
}

/// `GET /v1/predictions`: the whole account's, newest first.
pub(crate) async fn list(
    State(sim): Shared,
    query: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(filter)) = query else {
        return problem::bad_request("created_after and created_before must be ISO 8601 times");
    };
    let cursor = match &filter.cursor {
        None => {
            Cursor { below: None, above: None, after: filter.created_after, before: filter.created_before }
        }
        Some(text) => match Cursor::read(text) {
            Some(cursor) => cursor,
            None => return problem::bad_request("Invalid cursor"),
        },
    };
    Json(page(&sim, &cursor)).into_response()
}

fn page(sim: &Sim, cursor: &Cursor) -> Page<Prediction> {
    let now = sim.clock.now();
    let conditions = sim.faults.standing(Stage::List);
    let pass = |record: &Record| {
        let in_time = cursor.after.is_none_or(|after| record.created_at >= after)
            && cursor.before.is_none_or(|before| record.created_at < before);
        in_time
            && conditions.iter().all(|(model, fault)| {
                model.as_ref().is_some_and(|model| *model != record.model) || visible(fault, record, now)
            })
    };
    let rows = match cursor.above {
        Some(above) => {
            let mut rows = sim.book.oldest(above + 1, PAGE, pass);
            rows.reverse();
            rows
        }
        None => sim.book.newest(cursor.below.unwrap_or(u64::MAX), PAGE, pass),
    };
    let older = rows.last().map(|row| row.seq).filter(|seq| !sim.book.newest(*seq, 1, pass).is_empty());
    let newer = rows.first().map(|row| row.seq).filter(|seq| !sim.book.oldest(seq + 1, 1, pass).is_empty());
    let link = |below, above| Cursor { below, above, ..cursor.clone() }.url(sim);
    Page {
        next: older.map(|seq| link(Some(seq), None)),
        previous: newer.map(|seq| link(None, Some(seq))),
        results: rows.iter().map(|record| sim.show(record, Detail::Row)).collect(),
    }
}

fn visible(fault: &Fault, record: &Record, now: DateTime<Utc>) -> bool {
    match fault {
        Fault::ListHidden => false,
        Fault::ListLag { seconds } => {
            record.created_at + TimeDelta::milliseconds((seconds * 1000.0) as i64) <= now
        }
        _ => true,
    }
}
