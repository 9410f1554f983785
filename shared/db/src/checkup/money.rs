//! Outputs that were paid for and lost, webhooks that come or do not, and models that something wants to buy.

use crate::error::{DbError, Doing};
use spool_job::money::Micros;
use sqlx::PgConnection;

/// Outputs that were paid for and are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// In the last seven days.
    pub lately: i64,
    /// What those had cost.
    pub lately_cost: Micros,
    /// Ever.
    pub ever: i64,
}

/// Counts them. An output whose time has been over for ten minutes counts as lost, whatever its task says.
pub async fn lost(conn: &mut PgConnection) -> Result<Lost, DbError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "ever!", count(*) FILTER (WHERE at > now() - interval '7 days') AS "lately!",
                  coalesce(sum(cost_micros) FILTER (WHERE at > now() - interval '7 days'), 0)::bigint AS "cost!"
           FROM (SELECT coalesce(output_lost_at, output_gone_at + interval '10 minutes') AS at, cost_micros
                 FROM predictions WHERE state = 'succeeded' AND output_digest IS NULL) o
           WHERE at < now()"#
    )
    .fetch_one(conn)
    .await
    .doing("count what was paid for and lost")?;
    Ok(Lost { lately: row.lately, lately_cost: Micros(row.cost), ever: row.ever })
}

/// Whether providers' messages arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Webhooks {
    /// Messages of the last 24 hours.
    pub received: i64,
    /// Purchases that were settled in the same time.
    pub settled: i64,
}

/// Counts both.
pub async fn webhooks(conn: &mut PgConnection) -> Result<Webhooks, DbError> {
    sqlx::query_as!(
        Webhooks,
        r#"SELECT (SELECT count(*) FROM webhook_deliveries WHERE received_at > now() - interval '24 hours') AS "received!",
                  (SELECT count(*) FROM ledger WHERE kind = 'settle' AND at > now() - interval '24 hours') AS "settled!""#
    )
    .fetch_one(conn)
    .await
    .doing("count the webhooks of a day")
}

/// Models that jobs on their way want, or that something is being bought from, with how many those are.
pub async fn models_in_use(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT model AS "model!", count(*) AS "n!" FROM (
               SELECT spec ->> 'model' AS model FROM jobs WHERE state IN ('planning', 'approved', 'processing')
               UNION ALL
               SELECT model FROM predictions WHERE state IN ('intent', 'submitted', 'unknown', 'in_doubt')) used
           WHERE model IS NOT NULL GROUP BY model ORDER BY model"#
    )
    .fetch_all(conn)
    .await
    .doing("list the models in use")?;
    Ok(rows.into_iter().map(|row| (row.model, row.n)).collect())
}
