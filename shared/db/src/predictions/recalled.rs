//! What somebody must still look after when its own task does not: open predictions, and who owns them.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use uuid::Uuid;

/// Predictions of a job that hold money: live at the provider, or perhaps.
pub async fn open_of_job(conn: &mut PgConnection, job_id: i64) -> Result<Vec<Uuid>, DbError> {
    sqlx::query_scalar!(
        "SELECT id FROM predictions WHERE job_id = $1 AND state IN ('intent', 'submitted', 'unknown', 'in_doubt') ORDER BY id",
        job_id
    )
    .fetch_all(conn)
    .await
    .doing("list the open predictions of a job")
}

/// The queue task that looks after a prediction, which webhooks and operators wake.
pub async fn task_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<i64>, DbError> {
    sqlx::query_scalar!("SELECT task_id FROM predictions WHERE id = $1", id)
        .fetch_optional(conn)
        .await
        .doing("find the task of a prediction")
}

/// Another task looks after it from now on. The lease that wrote the intent stays: only that run may POST.
pub async fn taken_over(conn: &mut PgConnection, id: Uuid, task_id: i64) -> Result<(), DbError> {
    sqlx::query!("UPDATE predictions SET task_id = $2 WHERE id = $1", id, task_id)
        .execute(conn)
        .await
        .doing("hand a prediction to another task")?;
    Ok(())
}
