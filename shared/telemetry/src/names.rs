//! The names of our metrics. What they mean, their units and labels are declared in [`crate::vocabulary`]; the names of what the queue
//! counts are in its own crate.

/// Requests answered, by route template.
pub const HTTP_REQUESTS: &str = "spool_http_requests_total";
/// Time to answer a request.
pub const HTTP_REQUEST_SECONDS: &str = "spool_http_request_seconds";
/// Answers that are being held open.
pub const HTTP_STREAMS: &str = "spool_http_streams";
/// Status polls, by where their answer came from.
pub const STATUS_CACHE: &str = "spool_status_cache_total";
/// Requests with an idempotency key.
pub const IDEMPOTENCY: &str = "spool_idempotency_total";
/// Time a request waited for a connection.
pub const DB_WAIT_SECONDS: &str = "spool_db_wait_seconds";

/// Jobs that ended.
pub const JOBS_ENDED: &str = "spool_jobs_ended_total";
/// Time from approval to the video.
pub const JOB_SECONDS: &str = "spool_job_seconds";
/// The part of it that is ours.
pub const JOB_OWN_SECONDS: &str = "spool_job_own_seconds";
/// Jobs on their way.
pub const JOBS_LIVE: &str = "spool_jobs_live";
/// Jobs on their way that wait for something outside.
pub const JOBS_PARKED: &str = "spool_jobs_parked";
/// Executions of a step.
pub const STEPS: &str = "spool_step_total";
/// Time one execution of a step took.
pub const STEP_SECONDS: &str = "spool_step_seconds";

/// Tasks in the queue by state.
pub const QUEUE_TASKS: &str = "spool_queue_tasks";
/// How long the oldest ready task has been ready.
pub const QUEUE_OLDEST_READY: &str = "spool_queue_oldest_ready_seconds";
/// Live workers of a queue.
pub const QUEUE_WORKERS: &str = "spool_queue_workers";
/// Their slots.
pub const QUEUE_SLOTS: &str = "spool_queue_slots";
/// Whether a queue is paused.
pub const QUEUE_PAUSED: &str = "spool_queue_paused";

/// Calls made to a provider.
pub const PROVIDER_REQUESTS: &str = "spool_provider_requests_total";
/// Calls that a provider refused for coming too fast.
pub const PROVIDER_THROTTLED: &str = "spool_provider_throttled_total";
/// Predictions that reached a final state.
pub const PREDICTIONS: &str = "spool_predictions_total";
/// Predictions that failed, by class.
pub const PREDICTION_FAILURES: &str = "spool_prediction_failures_total";
/// Time a prediction took.
pub const PREDICTION_SECONDS: &str = "spool_prediction_seconds";
/// Predictions that providers have of us, and turns that are given.
pub const PREDICTIONS_IN_FLIGHT: &str = "spool_predictions_in_flight";
/// Paid calls that are not settled.
pub const PREDICTIONS_OPEN: &str = "spool_predictions_open";
/// Tasks that wait for a provider's limits.
pub const LIMIT_LINE: &str = "spool_limit_line";
/// Time from coming to the line to the turn.
pub const LIMIT_WAIT_SECONDS: &str = "spool_limit_wait_seconds";
/// Turns and tokens used.
pub const LIMIT_TOKENS: &str = "spool_limit_tokens_total";
/// Whether a breaker is open.
pub const BREAKER_OPEN: &str = "spool_breaker_open";
/// Outputs that were used again instead of bought.
pub const REUSED: &str = "spool_reused_total";
/// Time left to fetch the output that will be deleted first.
pub const CUSTODY_TIGHTEST: &str = "spool_custody_tightest_seconds";
/// Outputs that are paid for and not stored yet.
pub const CUSTODY_WAITING: &str = "spool_custody_waiting";
/// Outputs that were paid for and are lost.
pub const PAID_BUT_LOST: &str = "spool_paid_but_lost";
/// What those had cost.
pub const PAID_BUT_LOST_MICROS: &str = "spool_paid_but_lost_micros";
/// Predictions at a provider that no row knew.
pub const ORPHANS: &str = "spool_orphans";
/// What they cost beside the ledger.
pub const ORPHANS_MICROS: &str = "spool_orphans_micros";

/// Money written to the ledger.
pub const MONEY_MICROS: &str = "spool_money_micros_total";
/// What successful purchases cost.
pub const PURCHASE_COST: &str = "spool_purchase_cost_micros_total";
/// What they should have cost by the price list.
pub const PURCHASE_LIST: &str = "spool_purchase_list_micros_total";
/// What was held for them.
pub const PURCHASE_HELD: &str = "spool_purchase_held_micros_total";
/// Purchases that cost more than a fifth more or less than their list price.
pub const COST_VARIANCE: &str = "spool_cost_variance_total";
/// What the budgets leave.
pub const BUDGET_HEADROOM: &str = "spool_budget_headroom_micros";
/// Budgets whose present period has passed its soft limit.
pub const BUDGET_SOFT_PASSED: &str = "spool_budget_soft_passed";
/// What the budget for everything has seen in its present period.
pub const BUDGET_USED: &str = "spool_budget_used_micros";
/// What it allows.
pub const BUDGET_LIMIT: &str = "spool_budget_limit_micros";
/// Time until its period ends.
pub const BUDGET_PERIOD_LEFT: &str = "spool_budget_period_left_seconds";
/// What the money of the last day was good for.
pub const SPEND_CLASS: &str = "spool_spend_class_micros";
/// Whether all spending is stopped.
pub const SPEND_STOPPED: &str = "spool_spend_stopped";
/// Purchases that wait for money.
pub const SPEND_WAITS: &str = "spool_spend_waits";

/// Time an FFmpeg run took.
pub const FFMPEG_SECONDS: &str = "spool_ffmpeg_seconds";
/// FFmpeg runs by how they ended.
pub const FFMPEG_RUNS: &str = "spool_ffmpeg_runs_total";
/// Film and sound that went through FFmpeg.
pub const FFMPEG_MEDIA_SECONDS: &str = "spool_ffmpeg_media_seconds_total";
/// Media bytes that passed through this process.
pub const MEDIA_BYTES: &str = "spool_media_bytes_total";
/// Tries to send a webhook that ended.
pub const WEBHOOK_DELIVERIES: &str = "spool_webhook_deliveries_total";
/// Time one of them took.
pub const WEBHOOK_SEND_SECONDS: &str = "spool_webhook_send_seconds";
/// Webhooks that are neither delivered nor given up.
pub const WEBHOOK_PENDING: &str = "spool_webhook_pending";
/// Age of the oldest of them.
pub const WEBHOOK_OLDEST: &str = "spool_webhook_oldest_pending_age_seconds";
/// Endpoints that webhooks go to.
pub const WEBHOOK_ENDPOINTS: &str = "spool_webhook_endpoints";

/// Bytes in the media store.
pub const STORAGE_BYTES: &str = "spool_storage_bytes";
/// Files in the media store.
pub const STORAGE_FILES: &str = "spool_storage_files";

/// Rows that are not as they must be.
pub const INVARIANT_VIOLATIONS: &str = "spool_invariant_violations";
/// Age of the last look at them.
pub const INVARIANTS_AGE: &str = "spool_invariants_age_seconds";
/// Dead rows of a hot table.
pub const POSTGRES_DEAD_ROWS: &str = "spool_postgres_dead_rows";
/// Size of a hot table.
pub const POSTGRES_TABLE_BYTES: &str = "spool_postgres_table_bytes";
/// Size of the database.
pub const POSTGRES_DATABASE_BYTES: &str = "spool_postgres_database_bytes";
/// Age of the oldest open transaction.
pub const POSTGRES_OLDEST_TRANSACTION: &str = "spool_postgres_oldest_transaction_seconds";
/// For how long old row versions have been needed.
pub const POSTGRES_PINNED_XMIN: &str = "spool_postgres_pinned_xmin_seconds";
/// The same in transactions.
pub const POSTGRES_PINNED_XMIN_TRANSACTIONS: &str = "spool_postgres_pinned_xmin_transactions";
/// Share of the notification queue that is used.
pub const POSTGRES_NOTIFY_QUEUE: &str = "spool_postgres_notify_queue_ratio";
/// Standbys that are connected.
pub const POSTGRES_REPLICAS: &str = "spool_postgres_replicas";
/// How far the slowest standby is behind.
pub const POSTGRES_REPLICATION_LAG: &str = "spool_postgres_replication_lag_seconds";
/// Connections to Postgres.
pub const POSTGRES_CONNECTIONS: &str = "spool_postgres_connections";
/// Connections that Postgres allows.
pub const POSTGRES_CONNECTIONS_MAX: &str = "spool_postgres_connections_max";
/// Age of the figures of the database.
pub const FIGURES_AGE: &str = "spool_figures_age_seconds";
/// Time that working them out took.
pub const FIGURES_COST: &str = "spool_figures_cost_seconds";

/// Constant 1 whose labels say which build runs.
pub const BUILD_INFO: &str = "spool_build_info";
/// Connections of the pool.
pub const DB_POOL_CONNECTIONS: &str = "spool_db_pool_connections";
/// Connections that the pool may have.
pub const DB_POOL_MAX: &str = "spool_db_pool_connections_max";
/// Bytes free on a disk.
pub const DISK_FREE: &str = "spool_disk_free_bytes";
/// Bytes that a disk has.
pub const DISK_SIZE: &str = "spool_disk_size_bytes";
