//! How webhooks stand, for operators.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Totals.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Standing {
    /// Deliveries that are neither delivered nor given up.
    pub pending: i64,
    /// Seconds since the oldest of them happened.
    pub oldest_s: Option<f64>,
    /// Endpoints that are told everything.
    pub enabled: i64,
    /// Those of them that nothing has reached lately.
    pub failing: i64,
    /// Endpoints that are told nothing.
    pub disabled: i64,
}

/// Counts.
pub async fn standing(conn: &mut PgConnection) -> Result<Standing, DbError> {
    sqlx::query_as!(
        Standing,
        r#"SELECT d.pending AS "pending!", d.oldest_s, e.enabled AS "enabled!", e.failing AS "failing!", e.disabled AS "disabled!"
           FROM (SELECT count(*) AS pending, extract(epoch FROM now() - min(created_at))::double precision AS oldest_s
                 FROM hook_deliveries WHERE state = 'pending') d,
                (SELECT count(*) FILTER (WHERE enabled) AS enabled, count(*) FILTER (WHERE enabled AND failing_since IS NOT NULL) AS failing,
                        count(*) FILTER (WHERE NOT enabled) AS disabled FROM hook_endpoints) e"#
    )
    .fetch_one(conn)
    .await
    .doing("count the webhooks")
}
