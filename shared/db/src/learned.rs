//! What purchases have really cost beside their list price, per model and unit: kept in a small table, worked out anew at most
//! every ten minutes in the transaction of a settlement.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::collections::HashMap;

/// With fewer purchases than this nothing is known.
const ENOUGH: i32 = 20;

/// What experience says, by model and unit: what 95 of 100 purchases cost at most, in thousandths of their list price.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned(HashMap<(String, String), i32>);

impl Learned {
    /// For one model and unit, if there were enough purchases to tell.
    pub fn p95_permille(&self, model: &str, unit: &str) -> Option<i32> {
        self.0.get(&(model.to_owned(), unit.to_owned())).copied()
    }
}

/// For all models.
pub async fn all(conn: &mut PgConnection) -> Result<Learned, DbError> {
    let rows =
        sqlx::query!("SELECT model, unit, p95_permille FROM learned_costs WHERE samples >= $1", ENOUGH)
            .fetch_all(conn)
            .await
            .doing("read the learned costs")?;
    Ok(Learned(rows.into_iter().map(|row| ((row.model, row.unit), row.p95_permille)).collect()))
}

/// For one model and unit.
pub async fn of(conn: &mut PgConnection, model: &str, unit: &str) -> Result<Option<i32>, DbError> {
    sqlx::query_scalar!(
        "SELECT p95_permille FROM learned_costs WHERE model = $1 AND unit = $2 AND samples >= $3",
        model,
        unit,
        ENOUGH
    )
    .fetch_optional(conn)
    .await
    .doing("read a learned cost")
}

/// Works it out from the last 1,000 purchases of the last 30 days, unless that was done in the last ten minutes. While there are
/// few purchases each of them counts at once.
pub(crate) async fn refresh(conn: &mut PgConnection, model: &str, unit: &str) -> Result<(), DbError> {
    const DOING: &str = "learn from what things cost";
    let fresh = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM learned_costs WHERE model = $1 AND unit = $2 AND samples >= $3
                          AND computed_at > now() - interval '10 minutes') AS "fresh!""#,
        model,
        unit,
        ENOUGH
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    if fresh {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO learned_costs (model, unit, p95_permille, samples)
         SELECT $1, $2, percentile_disc(0.95) WITHIN GROUP (ORDER BY permille), count(*)
         FROM (SELECT LEAST(ceil(cost_micros * 1000.0 / COALESCE(list_micros, estimate_micros)), 1000000)::integer AS permille
               FROM predictions
               WHERE model = $1 AND unit = $2 AND state = 'succeeded' AND cost_micros > 0
                 AND COALESCE(list_micros, estimate_micros) > 0 AND finished_at > now() - interval '30 days'
               ORDER BY finished_at DESC LIMIT 1000) AS last
         HAVING count(*) > 0
         ON CONFLICT (model, unit) DO UPDATE
         SET p95_permille = excluded.p95_permille, samples = excluded.samples, computed_at = excluded.computed_at",
        model,
        unit
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    Ok(())
}
