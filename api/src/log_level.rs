//! Follows an operator's word on what API processes log.

use spool_db::log_levels;
use spool_telemetry::logging;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::error::ApiError;

const PROGRAM: &str = "api";

/// Follows it until `stop`.
pub async fn follow(db: Database, stop: CancellationToken) {
    let read = async || Ok::<_, ApiError>(log_levels::of(&mut *db.read().await?, PROGRAM).await?);
    logging::follow(read, stop).await;
}
