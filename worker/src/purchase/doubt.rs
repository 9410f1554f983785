//! A prediction in doubt waits for an operator (or a late webhook). What an operator says it is called at the provider is checked
//! there before it is believed.

use super::mark::bears_our_mark;
use super::{IN_DOUBT_REST, Order, park};
use crate::context::Context;
use crate::crash::crash_point;
use crate::meter;
use serde_json::json;
use spool_db::predictions::{self, PredictionRow, doubt};
use spool_db::{jobs, progress};
use spool_provider::verdict::Verdict;
use spool_provider::wire::Prediction;
use spool_queue::{Done, Failure, Run};
use std::time::Duration;

const WHY: &str = "prediction in doubt: an operator decides";
/// The provider's clock may be so far from ours.
const CLOCKS: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// Looks whether there is a claim, and checks it.
pub(super) async fn look(
    ctx: &Context,
    run: &Run,
    order: &Order,
    row: &PredictionRow,
) -> Result<Done, Failure> {
    let mut conn = ctx.read().await?;
    let claim = doubt::claim(&mut conn, row.id).await?;
    drop(conn);
    let Some((external_id, by)) = claim else { return Ok(park(IN_DOUBT_REST, WHY).into()) };
    if let Err(rest) = ctx.reads.token(&ctx.pool).await? {
        return Ok(park(rest, WHY).into());
    }
    let objection = match meter::call("get", ctx.replicate.get(&external_id)).await {
        Ok(found) => objection(order, row, &found),
        Err(error) => match error.verdict() {
            Verdict::RetryAfter(wait) => {
                return Ok(park(wait, "asking the provider about an operator's claim").into());
            }
            _ => Some(error.to_string()),
        },
    };
    crash_point!(ClaimAnswered);
    let mut tx = ctx.pool.begin().await?;
    jobs::lock(&mut tx, row.job_id).await?;
    let taken = predictions::bound(&mut tx, &row.provider, std::slice::from_ref(&external_id)).await?;
    let objection =
        objection.or_else(|| (!taken.is_empty()).then(|| "another prediction is bound to it".to_owned()));
    doubt::claim_checked(&mut tx, row.id).await?;
    let mut data = json!({"prediction_id": row.id, "external_id": external_id, "by": by});
    let outcome = if let Some(why) = objection {
        tracing::warn!(prediction_id = %row.id, external_id, why, "an operator's claim is refused");
        data["error"] = json!(why);
        progress::refresh(&mut tx, row.job_id, "claim_refused", &data).await?;
        park(IN_DOUBT_REST, format!("{WHY}; {external_id} is refused: {why}"))
    } else {
        if !predictions::submitted(&mut tx, row.id, &external_id, true).await? {
            return Err(Failure::retry("moved", "the prediction was settled while its claim was checked"));
        }
        progress::refresh(&mut tx, row.job_id, "claim_accepted", &data).await?;
        park(Duration::ZERO, "adopted by an operator's word")
    };
    crash_point!(ClaimUncommitted);
    let done = run.commit(tx, outcome).await?;
    crash_point!(ClaimRecorded);
    Ok(done)
}

/// Why it cannot be the one. After an hour the provider has forgotten the input, and with it our mark; then model and time decide.
fn objection(order: &Order, row: &PredictionRow, found: &Prediction) -> Option<String> {
    if found.data_removed || found.input.is_empty() {
        let same_model = found.model.is_empty() || found.model == order.model.slug;
        if !same_model {
            return Some(format!("it is a prediction of {}", found.model));
        }
        let in_time = found.created_at >= row.intent_at - CLOCKS
            && found.created_at <= row.intent_at + CLOCKS + chrono::TimeDelta::minutes(5);
        return (!in_time).then(|| format!("it was made at {}", found.created_at));
    }
    let ours = bears_our_mark(found, order.media.is_empty(), row.id, &row.input);
    (!ours).then(|| "its input does not bear the mark of this prediction".to_owned())
}
