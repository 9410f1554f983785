//! Signals that arrived from a provider. They carry no truth beyond the id of a prediction.

use crate::error::{DbError, Doing};
use crate::orphans;
use crate::predictions::submitted;
use sqlx::PgConnection;
use uuid::Uuid;

/// What a webhook turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Not seen before.
    pub first: bool,
    /// The queue task to wake, when the prediction is known and not final.
    pub task_id: Option<i64>,
    /// The span under which the work for its job belongs, where traces are on.
    pub trace_parent: Option<String>,
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
        tracing::error!(prediction_id = %prediction, external_id, "an orphan: a webhook names a prediction that its row does not want");
    }
    let row = sqlx::query!(
        r#"SELECT CASE WHEN p.state IN ('intent', 'submitted', 'unknown', 'in_doubt') THEN p.task_id END AS task_id, j.trace_parent
           FROM predictions p JOIN jobs j ON j.id = p.job_id WHERE p.id = $1"#,
        prediction
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?;
    let (task_id, trace_parent) = row.map_or((None, None), |row| (row.task_id, row.trace_parent));
    Ok(Delivery { first, task_id, trace_parent })
}
