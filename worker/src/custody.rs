//! What is paid for and not stored yet, as gauges. They come from the database: every process shows the same, and a restart of all
//! of them forgets nothing.

use metrics::gauge;
use spool_db::custody::Standing;
use spool_db::error::DbError;
use spool_db::{custody, orphans};
use spool_telemetry::names;
use sqlx::PgPool;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(10);
/// What is shown while nothing waits: the whole hour.
const NOTHING_WAITS: f64 = 3600.0;

/// Keeps the gauges true until `stop`.
pub(crate) fn watch(pool: PgPool, stop: CancellationToken) {
    tokio::spawn(async move {
        let mut known = 0;
        loop {
            match look(&pool).await {
                Ok(standing) => {
                    if standing.lost > known {
                        tracing::error!(
                            outputs = standing.lost,
                            cost_micros = standing.lost_cost.0,
                            "paid but lost"
                        );
                    }
                    known = standing.lost;
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot tell what is in custody"
                    );
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    });
}

async fn look(pool: &PgPool) -> Result<Standing, DbError> {
    let connected = pool.begin().await;
    let mut tx = connected.map_err(|source| DbError::Query { operation: "look into custody", source })?;
    let standing = custody::standing(&mut tx).await?;
    let orphans = orphans::totals(&mut tx).await?;
    drop(tx);
    gauge!(names::CUSTODY_TIGHTEST).set(standing.tightest_s.unwrap_or(NOTHING_WAITS));
    gauge!(names::CUSTODY_WAITING).set(standing.waiting as f64);
    gauge!(names::PAID_BUT_LOST).set(standing.lost as f64);
    gauge!(names::PAID_BUT_LOST_MICROS).set(standing.lost_cost.0 as f64);
    gauge!(names::ORPHANS, "done" => "adopted").set(orphans.adopted as f64);
    gauge!(names::ORPHANS, "done" => "canceled").set(orphans.canceled as f64);
    gauge!(names::ORPHANS_MICROS).set(orphans.cost.0 as f64);
    Ok(standing)
}
