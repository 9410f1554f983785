//! A POST whose outcome is unknown is never repeated, only looked for: in complete lists of what the
//! provider has, by marks that only our prediction bears.

use super::mark::bears_our_mark;
use super::{Order, park, turn};
use crate::context::Context;
use crate::crash::crash_point;
use crate::meter;
use spool_db::orphans;
use spool_db::predictions::{self, PredictionRow};
use spool_provider::wire::Prediction;
use spool_queue::{Done, Failure, Run};
use sqlx::{Postgres, Transaction};
use std::collections::HashSet;
use std::time::Duration;

/// How far before the intent the scan begins: clocks differ.
const SCAN_MARGIN: chrono::TimeDelta = chrono::TimeDelta::seconds(120);
/// Empty scans, half a settling time apart, that prove nothing was created.
const EMPTY_SCANS: i32 = 2;
/// Inputs vanish from lists an hour after the end; after this nothing can be proved any more.
const PROVABLE: Duration = Duration::from_secs(55 * 60);
/// After this nobody waits for a token of the reads any more: an operator looks.
const LAST_LOOK: Duration = Duration::from_secs(60 * 60);
/// Rest after a scan that failed.
const SCAN_REST: Duration = Duration::from_secs(10);
/// Look at once after adopting.
const NOW: Duration = Duration::ZERO;

/// Looks for the prediction once.
pub(super) async fn resolve(
    ctx: &Context,
    run: &Run,
    order: &Order,
    row: &PredictionRow,
) -> Result<Done, Failure> {
    let half = ctx.settings.submit_settle / 2;
    let unknown_for = Duration::from_secs_f64(row.unknown_for_s.unwrap_or_default().max(0.0));
    // Reckoned from the intent: the POST is that old, whenever somebody noticed that its answer is missing.
    let age = Duration::from_secs_f64(row.intent_for_s.max(0.0));
    let provable = age <= PROVABLE;
    if let Some(since) = row.since_scan_s.map(|s| Duration::from_secs_f64(s.max(0.0)))
        && since < half
    {
        return Ok(park(half.saturating_sub(since), "looking for the prediction").into());
    }
    if let Err(rest) = ctx.reads.token(&ctx.pool).await? {
        // After an hour without workers all come at once, and most get a token a moment later.
        let left = LAST_LOOK.saturating_sub(age).max(ctx.settings.submit_settle.saturating_sub(unknown_for));
        if left.is_zero() {
            return doubt(ctx.pool.begin().await?, run, row).await;
        }
        return Ok(park(rest.min(left), "looking for the prediction").into());
    }
    let listed = match meter::call("list", ctx.replicate.list(Some(row.intent_at - SCAN_MARGIN), None)).await
    {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(prediction_id = %row.id, error = &error as &dyn std::error::Error, "the scan failed");
            turn::read_throttled(ctx, &row.provider, &error).await?;
            crash_point!(ScanFailed);
            if provable {
                return Ok(park(SCAN_REST, "looking for the prediction").into());
            }
            return doubt(ctx.pool.begin().await?, run, row).await;
        }
    };
    crash_point!(Listed);
    let mut ours: Vec<&Prediction> = listed
        .iter()
        .filter(|found| bears_our_mark(found, order.media.is_empty(), row.id, &row.input))
        .collect();
    let mut tx = ctx.pool.begin().await?;
    let ids: Vec<String> = ours.iter().map(|found| found.id.clone()).collect();
    let bound: HashSet<String> =
        predictions::bound(&mut tx, &row.provider, &ids).await?.into_iter().collect();
    ours.retain(|found| !bound.contains(&found.id));
    ours.sort_by_key(|found| found.created_at);

    if let Some((oldest, others)) = ours.split_first() {
        crash_point!(Found);
        tracing::info!(prediction_id = %row.id, external_id = oldest.id, "adopting the prediction that the lost answer was about");
        predictions::submitted(&mut tx, row.id, &oldest.id, true).await?;
        for other in others {
            orphans::late(&mut tx, row.id, &other.id).await?;
        }
        crash_point!(AdoptionUncommitted);
        let done = run.commit(tx, park(NOW, "adopted")).await?;
        crash_point!(Adopted);
        for other in others {
            tracing::error!(prediction_id = %row.id, external_id = other.id, "a second prediction bears the same mark, canceling it");
            ctx.reads.token_or_go(&ctx.pool).await;
            if let Err(error) = meter::call("cancel", ctx.replicate.cancel(&other.id)).await {
                tracing::error!(
                    external_id = other.id,
                    error = &error as &dyn std::error::Error,
                    "could not cancel it"
                );
            }
            crash_point!(DoubleCanceled);
        }
        return Ok(done);
    }

    let scans = predictions::scanned_empty(&mut tx, row.id).await?;
    let outcome = if scans >= EMPTY_SCANS && unknown_for >= ctx.settings.submit_settle {
        if !provable {
            return doubt(tx, run, row).await;
        }
        predictions::void(&mut tx, row.id).await?;
        crash_point!(VoidUncommitted);
        meter::money("released", row.estimate);
        tracing::info!(prediction_id = %row.id, count = scans, "nothing was created, it may be bought again");
        park(NOW, "nothing was created")
    } else {
        park(half, "looking for the prediction")
    };
    crash_point!(EmptyScanUncommitted);
    let done = run.commit(tx, outcome).await?;
    crash_point!(EmptyScanRecorded);
    Ok(done)
}

/// The provider has forgotten what it was asked: nothing can be proved, so nothing is bought again.
async fn doubt(
    mut tx: Transaction<'static, Postgres>,
    run: &Run,
    row: &PredictionRow,
) -> Result<Done, Failure> {
    predictions::in_doubt(&mut tx, row.id).await?;
    tracing::error!(prediction_id = %row.id, "cannot tell any more whether it was bought: an operator decides");
    crash_point!(DoubtUncommitted);
    let done = run.commit(tx, park(super::IN_DOUBT_REST, "prediction in doubt: an operator decides")).await?;
    crash_point!(DoubtRecorded);
    Ok(done)
}
