//! The ledger: append-only rows that say what each prediction reserved and what became of it.

use crate::error::{DbError, Doing};
use spool_job::money::Micros;
use sqlx::PgConnection;
use uuid::Uuid;

/// Holds `micros` for a prediction, before anything is bought.
pub(crate) async fn reserve(
    conn: &mut PgConnection,
    prediction: Uuid,
    micros: Micros,
) -> Result<(), DbError> {
    append(conn, prediction, "reserve", micros).await
}

/// Books what it cost.
pub(crate) async fn settle(conn: &mut PgConnection, prediction: Uuid, micros: Micros) -> Result<(), DbError> {
    append(conn, prediction, "settle", micros).await
}

/// Gives back what was reserved: nothing was bought.
pub(crate) async fn release(
    conn: &mut PgConnection,
    prediction: Uuid,
    micros: Micros,
) -> Result<(), DbError> {
    append(conn, prediction, "release", micros).await
}

async fn append(
    conn: &mut PgConnection,
    prediction: Uuid,
    kind: &str,
    micros: Micros,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO ledger (prediction_id, job_id, client_id, campaign_id, model, kind, micros)
         SELECT p.id, p.job_id, j.client_id, j.campaign_id, p.model, $2, $3
         FROM predictions p JOIN jobs j ON j.id = p.job_id WHERE p.id = $1",
        prediction,
        kind,
        micros.0,
    )
    .execute(conn)
    .await
    .doing("write the ledger")?;
    Ok(())
}

/// Money of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobMoney {
    /// Held for predictions whose cost is not known yet.
    pub reserved: Micros,
    /// Spent.
    pub settled: Micros,
}

/// What a job holds and has spent.
pub async fn of_job(conn: &mut PgConnection, job_id: i64) -> Result<JobMoney, DbError> {
    let row = sqlx::query!(
        r#"SELECT COALESCE(sum(micros) FILTER (WHERE kind = 'settle'), 0)::bigint AS "settled!",
                  COALESCE(sum(micros) FILTER (WHERE kind = 'reserve' AND NOT EXISTS (
                      SELECT 1 FROM ledger later
                      WHERE later.prediction_id = ledger.prediction_id AND later.kind <> 'reserve')), 0)::bigint AS "reserved!"
           FROM ledger WHERE job_id = $1"#,
        job_id
    )
    .fetch_one(conn)
    .await
    .doing("read the ledger of a job")?;
    Ok(JobMoney { reserved: Micros(row.reserved), settled: Micros(row.settled) })
}
