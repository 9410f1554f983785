//! Nothing is bought twice on purpose either: an order that is the same as an earlier one gets that one's stored output.
//!
//! One transaction does what otherwise buying, collecting and their events do. It needs no money, so neither limits nor budgets
//! nor the emergency stop stand before it.

use super::{Order, turn};
use crate::context::Context;
use crate::crash::crash_point;
use serde_json::json;
use spool_db::limits::line;
use spool_db::predictions::{self, NewIntent, memo};
use spool_db::{budgets, cancellation, jobs, progress, scenes};
use spool_job::canonical;
use spool_job::money::Micros;
use spool_job::state::SceneState;
use spool_media::key::Digest;
use spool_queue::{Done, Failure, Outcome, Run};
use uuid::Uuid;

impl Order {
    /// The same for the same order: by whom, which model and version, which input. The seed that we add to an input without media
    /// is left out: nobody asked for it.
    pub(super) fn memo_key(&self) -> String {
        let order = json!({
            "provider": self.model.provider,
            "model": self.model.slug,
            "version": self.model.version,
            "input": self.input_of_digests(),
        });
        canonical::digest(&order)
    }

    fn input_of_digests(&self) -> serde_json::Value {
        (self.input)(&|name| self.media.get(name).cloned().unwrap_or_default())
    }
}

/// Fills the slot with the stored output of an earlier purchase. `None`: there is none that will do, so it has to be bought.
pub(super) async fn reuse(ctx: &Context, run: &Run, order: &Order) -> Result<Option<Done>, Failure> {
    if !order.reuse {
        return Ok(None);
    }
    let memo_key = order.memo_key();
    let mut conn = ctx.read().await?;
    let kept = memo::kept(&mut conn, &memo_key).await?;
    drop(conn);
    let Some(kept) = kept else { return Ok(None) };
    // It passed when it was stored; that it is still there, byte for byte, is looked at each time.
    let digest: Digest = kept.digest.parse()?;
    if !ctx.store.is_whole(&digest).await? {
        tracing::error!(prediction_id = %kept.id, digest = kept.digest, "a stored output is gone or broken, buying another");
        return Ok(None);
    }
    crash_point!(MemoFound);

    let job_id = order.slot.job_id;
    let mut tx = ctx.pool.begin().await?;
    let state = jobs::lock(&mut tx, job_id).await?;
    if state.is_final() || cancellation::requested_at(&mut tx, job_id).await?.is_some() {
        return Ok(Some(Outcome::Cancel { why: format!("the job is {state}") }.into()));
    }
    jobs::begin(&mut tx, job_id).await?;
    if let Some((scene_id, version)) = order.slot.scene {
        scenes::move_to(&mut tx, scene_id, version, SceneState::Processing, None, None).await?;
        scenes::move_to(&mut tx, scene_id, version, SceneState::Completed, Some(&kept.digest), None).await?;
    }
    let id = Uuid::now_v7();
    // As it would be asked for; nothing is sent, so no seed of ours is in it.
    let input = order.input_of_digests();
    let new = NewIntent {
        id,
        slot: order.slot,
        attempt: predictions::tries(&mut tx, order.slot).await?.all + 1,
        task_id: run.task_id().0,
        lease_token: run.token().0,
        provider: &order.model.provider,
        model: &order.model.slug,
        input: &input,
        input_digest: &canonical::digest(&input),
        memo_key: &memo_key,
        media: &json!(order.media),
        unit: order.model.unit.as_str(),
        unit_price: Micros::ZERO,
        list: Micros::ZERO,
        estimate: Micros::ZERO,
    };
    memo::reuse(&mut tx, &new, &kept).await?;
    budgets::waits_no_more(&mut tx, run.task_id().0).await?;
    // Nor does it need the turn that it may have waited for.
    line::leave(&mut tx, &order.model.provider, run.task_id().0).await?;
    turn::goes_on(&mut tx, job_id).await?;
    let data = json!({"prediction_id": id, "reused_from": kept.id, "scene_id": order.slot.scene.map(|(id, _)| id),
                      "ordinal": order.slot.ordinal, "cost_micros": 0, "saved_micros": kept.cost});
    progress::refresh(&mut tx, job_id, &format!("{}_reused", order.slot.purpose), &data).await?;
    let output = json!({"prediction_id": id, "reused_from": kept.id, "digest": kept.digest});
    let done = run.commit(tx, Outcome::Done(crate::origin::signed(output))).await?;
    crash_point!(MemoRecorded);
    crate::meter::reused(&order.model.slug);
    tracing::info!(prediction_id = %id, reused_from = %kept.id, "used again");
    Ok(Some(done))
}
