//! A prediction that outlives the deadline it was given: the provider should have ended it by itself. It is called off there, and
//! the next looks book what it came to.

use super::Order;
use crate::context::Context;
use crate::crash::crash_point;
use crate::meter;
use spool_db::predictions::PredictionRow;
use std::time::Duration;

/// The deadline counts from the creation, and the end takes a while to show.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whether `submitted_for` is so long that the provider's own deadline has failed.
fn is_overdue(order: &Order, submitted_for: Duration) -> bool {
    submitted_for > Duration::from_secs(order.model.cancel_after_s.into()) + PATIENCE
}

/// Asks the provider to stop it, again at each look until it does.
pub(super) async fn call_off(ctx: &Context, order: &Order, row: &PredictionRow, submitted_for: Duration) {
    let Some(external_id) = row.external_id.as_deref().filter(|_| is_overdue(order, submitted_for)) else {
        return;
    };
    tracing::error!(prediction_id = %row.id, external_id, "it outlives its deadline, calling it off");
    ctx.reads.token_or_go(&ctx.pool).await;
    if let Err(error) = meter::call("cancel", ctx.replicate.cancel(external_id)).await {
        tracing::warn!(
            external_id,
            error = &error as &dyn std::error::Error,
            "could not call it off, trying again at the next look"
        );
    }
    crash_point!(OverdueCanceled);
}
