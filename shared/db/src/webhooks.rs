//! Signals that arrived from a provider. They carry no truth beyond the id of a prediction.

use crate::error::{DbError, Doing};
use crate::orphans;
use crate::predictions::submitted;
use sqlx::PgConnection;
use uuid::Uuid;

/// What a webhook turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Not seen before.
    pub first: bool,
    /// The queue task to wake, when the prediction is known and not final.
    pub task_id: Option<i64>,
}

/// Records a verified webhook; when our prediction has no id yet, the webhook brings it. An id that the prediction does not want (any
/// more) is an orphan.
pub async fn record_webhook(
    conn: &mut PgConnection,
    provider: &str,
    webhook_id: &str,
    prediction: Uuid,
    external_id: Option<&str>,
) -> Result<Delivery, DbError> {
    const DOING: &str = "record a webhook";
    let inserted = sqlx::query!(
        "INSERT INTO webhook_deliveries (provider, id, prediction_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        provider,
        webhook_id,
        prediction,
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    let first = inserted.rows_affected() == 1;
    // The signature does not cover the address: a replayed message with another id in it binds nothing.
    if let Some(external_id) = external_id.filter(|_| first)
        && !submitted(conn, prediction, external_id, true).await?
        && orphans::late(conn, prediction, external_id).await?
    {
        tracing::error!(%prediction, external_id, "an orphan: a webhook names a prediction that its row does not want");
    }
    let task_id = sqlx::query_scalar!(
        "SELECT task_id FROM predictions WHERE id = $1 AND state IN ('intent', 'submitted', 'unknown', 'in_doubt')",
        prediction
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?;
    Ok(Delivery { first, task_id })
}
