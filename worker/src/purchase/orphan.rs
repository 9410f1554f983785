//! Orphans: predictions at the provider that bear our mark and that no row is bound to. A row that looks for one gets it; what no
//! row wants is called off, and what it cost is written down.
//!
//! What bears no mark of this installation is not ours: other products may share the account. It is never touched.

use super::{Order, mark, price, recall};
use crate::context::Context;
use crate::crash::crash_point;
use crate::meter;
use crate::steps::recall as recall_step;
use spool_db::orphans::{self, Found, Marked};
use spool_db::predictions::{self, Slot};
use spool_db::{jobs, progress};
use spool_job::catalog;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_provider::wire::{Prediction, PredictionStatus};
use spool_queue::{Bell, Failure, Run, TaskId, control};
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

const PROVIDER: &str = "replicate";
/// Inputs, and with them our marks, can be seen for an hour after the end; a prediction runs for minutes.
const WINDOW: chrono::TimeDelta = chrono::TimeDelta::minutes(70);
/// Pages of 100 that one sweep reads at most; the newest come first, so a longer list hides only what earlier sweeps have seen.
const MOST_PAGES: usize = 20;
/// Orphans that are looked after in one sweep.
const MOST_OPEN: i64 = 100;
/// An intent this old has nobody any more who is about to record its answer.
const LATE_INTENT_S: f64 = 120.0;

/// What one sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Swept {
    /// Predictions in the list.
    pub(crate) seen: usize,
    /// Given to rows that looked for them.
    pub(crate) adopted: usize,
    /// Called off.
    pub(crate) canceled: usize,
}

/// One of the list that bears our mark, and the row that the mark names.
struct Candidate<'a> {
    found: &'a Prediction,
    prediction: Uuid,
    row: Option<Marked>,
}

/// What is to be done with a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Its row is bound to it, or the run that bought it is about to be.
    Known,
    /// Its row looks for it.
    Adopt,
    /// No row wants it.
    CallOff,
}

/// Looks once, and after the orphans of earlier looks.
pub(crate) async fn sweep(ctx: &Context, run: &Run) -> Result<Swept, Failure> {
    let mut swept = Swept::default();
    if !may_ask(ctx).await? {
        return Ok(swept);
    }
    let since = ctx.clock.now() - WINDOW;
    let (listed, whole) =
        meter::call("list", ctx.replicate.list_pages(Some(since), None, MOST_PAGES)).await?;
    if !whole {
        tracing::info!(
            count = MOST_PAGES,
            "the account is busy: only the newest predictions were looked through"
        );
    }
    swept.seen = listed.len();
    for candidate in candidates(ctx, &listed, since).await? {
        match verdict(&candidate) {
            Verdict::Known => {}
            Verdict::Adopt => swept.adopted += usize::from(adopt(ctx, run, &candidate).await?),
            Verdict::CallOff => swept.canceled += usize::from(call_off(ctx, &candidate).await?),
        }
    }
    let mut conn = ctx.read().await?;
    let open = orphans::open(&mut conn, PROVIDER, MOST_OPEN).await?;
    drop(conn);
    let by_id: HashMap<&str, &Prediction> = listed.iter().map(|one| (one.id.as_str(), one)).collect();
    for (external_id, model) in open {
        if !may_ask(ctx).await? {
            break;
        }
        look_after(ctx, &external_id, &model, by_id.get(external_id.as_str()).copied()).await?;
    }
    Ok(swept)
}

/// A provider that asked for a pause, or is asked as much as it takes, is not asked by a sweep: the next one comes soon enough.
async fn may_ask(ctx: &Context) -> Result<bool, Failure> {
    Ok(ctx.reads.token(&ctx.pool).await?.is_ok())
}

/// What of the list is ours and bound to no row.
async fn candidates<'a>(
    ctx: &Context,
    listed: &'a [Prediction],
    since: chrono::DateTime<chrono::Utc>,
) -> Result<Vec<Candidate<'a>>, Failure> {
    let mut conn = ctx.read().await?;
    let ids: Vec<String> = listed.iter().map(|found| found.id.clone()).collect();
    let bound: HashSet<String> = predictions::bound(&mut conn, PROVIDER, &ids).await?.into_iter().collect();
    let unbound = || listed.iter().filter(|found| !bound.contains(&found.id));
    let ours: Vec<(&Prediction, Uuid)> =
        unbound().filter_map(|found| Some((found, mark::of_ours(ctx, found)?))).collect();
    let marks: Vec<Uuid> = ours.iter().map(|(_, id)| *id).collect();
    let rows = orphans::marked(&mut conn, PROVIDER, &marks).await?;
    let rows: HashMap<Uuid, Marked> = rows.into_iter().map(|row| (row.id, row)).collect();
    let mut found: Vec<Candidate<'a>> = ours
        .into_iter()
        .map(|(found, prediction)| Candidate { found, prediction, row: rows.get(&prediction).cloned() })
        .collect();
    let seeded = orphans::seeded(&mut conn, PROVIDER, since).await?;
    drop(conn);
    for unmarked in unbound().filter(|one| mark::of_ours(ctx, one).is_none()) {
        let row = seeded.iter().find(|row| mark::bears_our_seed(unmarked, row.id, &row.input));
        found.extend(row.map(|row| Candidate {
            found: unmarked,
            prediction: row.id,
            row: Some(row.clone()),
        }));
    }
    // The oldest first: of two with one mark, the row gets the first and the other is called off.
    found.sort_by_key(|candidate| candidate.found.created_at);
    Ok(found)
}

fn verdict(candidate: &Candidate<'_>) -> Verdict {
    let Some(row) = &candidate.row else { return Verdict::CallOff };
    if row.external_id.as_deref() == Some(&candidate.found.id) {
        return Verdict::Known;
    }
    match row.state {
        PredictionState::Intent if row.intent_for_s < LATE_INTENT_S => Verdict::Known,
        PredictionState::Intent | PredictionState::Unknown | PredictionState::InDoubt => Verdict::Adopt,
        _ => Verdict::CallOff,
    }
}

/// Gives it to its row. Whoever looks after that is woken; if nobody does, `recall` will.
async fn adopt(ctx: &Context, run: &Run, candidate: &Candidate<'_>) -> Result<bool, Failure> {
    let Some(row) = &candidate.row else { return Ok(false) };
    let external_id = &candidate.found.id;
    let mut tx = ctx.pool.begin().await?;
    jobs::lock(&mut tx, row.job_id).await?;
    if !predictions::submitted(&mut tx, row.id, external_id, true).await? {
        return Ok(false);
    }
    if !orphans::note(&mut tx, &noted(candidate, true)).await? {
        return Ok(false);
    }
    let data = serde_json::json!({"prediction_id": row.id, "external_id": external_id});
    progress::refresh(&mut tx, row.job_id, "prediction_adopted", &data).await?;
    let mut bell = Bell::silent();
    if recall::is_looked_after(&mut tx, row.task_id).await? {
        bell.merge(control::wake(&mut tx, TaskId(row.task_id)).await?.bell);
    } else {
        bell.merge(recall_step::of(row.job_id, row.id).enqueue(&mut tx).await?.bell);
    }
    crash_point!(OrphanAdoptionUncommitted);
    tx.commit().await?;
    crash_point!(OrphanAdopted);
    bell.ring(run.pool()).await;
    tracing::warn!(prediction_id = %row.id, external_id, "an orphan was adopted");
    Ok(true)
}

/// Writes it down, then tells the provider to stop it. If the process dies in between, the next sweep goes on.
async fn call_off(ctx: &Context, candidate: &Candidate<'_>) -> Result<bool, Failure> {
    let mut tx = ctx.pool.begin().await?;
    let new = orphans::note(&mut tx, &noted(candidate, false)).await?;
    tx.commit().await?;
    crash_point!(OrphanNoted);
    if new {
        let state = candidate.row.as_ref().map(|row| row.state.as_str());
        tracing::error!(prediction_id = %candidate.prediction, external_id = candidate.found.id, state = state,
            "an orphan: no row wants this prediction, calling it off");
    }
    Ok(new)
}

/// Until it has ended it is told to stop; then its cost is written down.
async fn look_after(
    ctx: &Context,
    external_id: &str,
    model: &str,
    listed: Option<&Prediction>,
) -> Result<(), Failure> {
    let mut last = listed.cloned();
    if !last.as_ref().is_some_and(|one| one.status.is_terminal()) {
        if let Err(error) = meter::call("cancel", ctx.replicate.cancel(external_id)).await {
            tracing::warn!(
                external_id,
                error = &error as &dyn std::error::Error,
                "could not call an orphan off"
            );
        }
        ctx.reads.token_or_go(&ctx.pool).await;
        crash_point!(OrphanCanceled);
        last = meter::call("get", ctx.replicate.get(external_id)).await.ok();
    }
    let Some(found) = last else { return Ok(()) };
    let state = match found.status {
        PredictionStatus::Succeeded => PredictionState::Succeeded,
        PredictionStatus::Failed => PredictionState::Failed,
        PredictionStatus::Canceled => PredictionState::Canceled,
        PredictionStatus::Aborted => PredictionState::Aborted,
        PredictionStatus::Starting | PredictionStatus::Processing | PredictionStatus::Unknown => {
            return Ok(());
        }
    };
    let cost = cost(model, &found);
    let mut tx = ctx.pool.begin().await?;
    orphans::ended(&mut tx, PROVIDER, external_id, state, cost).await?;
    crash_point!(OrphanEndUncommitted);
    tx.commit().await?;
    crash_point!(OrphanEnded);
    tracing::error!(external_id, state = %state, cost_micros = cost.map(|cost| cost.0), "an orphan has ended");
    Ok(())
}

/// By the input that the provider shows; none when it is no model of ours or its input is gone.
fn cost(model: &str, found: &Prediction) -> Option<Micros> {
    let purpose = [Purpose::Render, Purpose::Music]
        .into_iter()
        .find(|purpose| catalog::find(model, *purpose).is_ok())?;
    if found.input.is_empty() {
        return None;
    }
    // No slot of ours: it is only reckoned what it cost.
    let slot = Slot { job_id: 0, purpose, scene: None, ordinal: 0 };
    let input = serde_json::Value::Object(found.input.clone());
    let order = Order::read_back(slot, model, &input, BTreeMap::new()).ok()?;
    let text = found.error_text().unwrap_or_default();
    let produced = price::on_day(&order, found.created_at.date_naive(), found).ok()?;
    Some(recall::bill(found, &text, produced).1)
}

fn noted<'a>(candidate: &'a Candidate<'_>, adopted: bool) -> Found<'a> {
    Found {
        provider: PROVIDER,
        external_id: &candidate.found.id,
        // As it was ordered: the provider may show another name.
        model: candidate.row.as_ref().map_or(&candidate.found.model, |row| &row.model),
        prediction_id: candidate.prediction,
        row_state: candidate.row.as_ref().map(|row| row.state),
        adopted,
        created_at: candidate.found.created_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found() -> Prediction {
        serde_json::from_value(json!({"id": "ext", "model": "google/veo-3.1-fast", "status": "processing",
            "created_at": "2026-11-21T10:00:00Z", "input": {}}))
        .unwrap()
    }

    fn row(state: PredictionState, external_id: Option<&str>, intent_for_s: f64) -> Marked {
        Marked {
            id: Uuid::nil(),
            job_id: 1,
            state,
            external_id: external_id.map(str::to_owned),
            model: String::new(),
            input: json!({}),
            task_id: 1,
            intent_for_s,
        }
    }

    #[test]
    fn only_what_no_row_wants_is_called_off() {
        use PredictionState as S;
        let found = found();
        for (row, expected) in [
            (None, Verdict::CallOff),
            (Some(row(S::Intent, None, 1.0)), Verdict::Known),
            (Some(row(S::Intent, None, 1000.0)), Verdict::Adopt),
            (Some(row(S::Unknown, None, 1.0)), Verdict::Adopt),
            (Some(row(S::InDoubt, None, 4000.0)), Verdict::Adopt),
            (Some(row(S::Submitted, Some("ext"), 9.0)), Verdict::Known),
            (Some(row(S::Submitted, Some("other"), 9.0)), Verdict::CallOff),
            (Some(row(S::Succeeded, Some("ext"), 9.0)), Verdict::Known),
            (Some(row(S::Succeeded, Some("other"), 9.0)), Verdict::CallOff),
            (Some(row(S::Void, None, 9.0)), Verdict::CallOff),
            (Some(row(S::Refused, None, 9.0)), Verdict::CallOff),
        ] {
            let state = row.as_ref().map(|row| (row.state, row.intent_for_s));
            let candidate = Candidate { found: &found, prediction: Uuid::nil(), row };
            assert_eq!(verdict(&candidate), expected, "{state:?}");
        }
    }
}
