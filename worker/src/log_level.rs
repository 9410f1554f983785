//! Follows an operator's word on what workers log.

use spool_db::log_levels;
use spool_telemetry::logging;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

const PROGRAM: &str = "worker";

/// Follows it until `stop`.
pub(crate) fn follow(pool: PgPool, stop: CancellationToken) {
    tokio::spawn(async move {
        let read = async || {
            // In a transaction, for a pooler; dropping it ends it.
            let mut conn = pool.begin().await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(log_levels::of(&mut conn, PROGRAM).await?)
        };
        logging::follow(read, stop).await;
    });
}
