//! A job that has ended holds no money, and one that goes on is in the queue.

use super::{Broken, MOST};
use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use uuid::Uuid;

/// So many jobs and purchases are looked for in the queue at most, those of which nothing was heard for longest.
const MOST_SUSPECTS: i64 = 5000;

/// Jobs that have ended although something of them is still bought.
pub async fn ended_open(conn: &mut PgConnection) -> Result<Vec<Broken>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT DISTINCT j.id FROM predictions p JOIN jobs j ON j.id = p.job_id
         WHERE p.state IN ('intent', 'submitted', 'unknown', 'in_doubt') AND j.state IN ('completed', 'failed', 'canceled') LIMIT $1",
        MOST
    )
    .fetch_all(conn)
    .await
    .doing("look for ended jobs that still buy")?;
    Ok(ids.into_iter().map(|id| Broken { invariant: "job_ended_open", subject: id.to_string() }).collect())
}

/// What nobody would go on with if the queue had no task for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Jobs on their way.
    pub jobs: Vec<i64>,
    /// Purchases under way: each with its job and with the task that looks after it.
    pub purchases: Vec<(Uuid, i64, i64)>,
}

/// Jobs on their way and purchases under way of which nothing was heard for some minutes.
pub async fn suspects(conn: &mut PgConnection) -> Result<Forgotten, DbError> {
    const DOING: &str = "list what may be forgotten";
    let jobs = sqlx::query_scalar!(
        "SELECT id FROM jobs WHERE state IN ('approved', 'processing') AND updated_at < now() - interval '5 minutes'
         ORDER BY updated_at LIMIT $1",
        MOST_SUSPECTS
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let purchases = sqlx::query!(
        "SELECT id, job_id, task_id FROM predictions
         WHERE state IN ('intent', 'submitted', 'unknown', 'in_doubt') AND intent_at < now() - interval '5 minutes'
         ORDER BY intent_at LIMIT $1",
        MOST_SUSPECTS
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    Ok(Forgotten {
        jobs,
        purchases: purchases.into_iter().map(|row| (row.id, row.job_id, row.task_id)).collect(),
    })
}

/// Those of them that are still under way: what ended while the queue was asked was not forgotten.
pub async fn still_forgotten(conn: &mut PgConnection, suspects: &Forgotten) -> Result<Vec<Broken>, DbError> {
    const DOING: &str = "look again at what may be forgotten";
    let ids: Vec<Uuid> = suspects.purchases.iter().map(|(id, ..)| *id).collect();
    let tasks: Vec<i64> = suspects.purchases.iter().map(|(.., task)| *task).collect();
    let rows = sqlx::query!(
        r#"SELECT 'job_forgotten' AS "invariant!", id::text AS "subject!" FROM jobs
           WHERE id = ANY($1) AND state IN ('approved', 'processing') AND updated_at < now() - interval '5 minutes'
           UNION ALL
           SELECT 'prediction_forgotten', p.id::text FROM unnest($2::uuid[], $3::bigint[]) AS f (id, task_id)
           JOIN predictions p ON p.id = f.id AND p.task_id = f.task_id AND p.state IN ('intent', 'submitted', 'unknown', 'in_doubt')
           LIMIT $4"#,
        &suspects.jobs,
        &ids,
        &tasks,
        MOST
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    let of = |row: &str| if row == "job_forgotten" { "job_forgotten" } else { "prediction_forgotten" };
    Ok(rows.into_iter().map(|row| Broken { invariant: of(&row.invariant), subject: row.subject }).collect())
}
