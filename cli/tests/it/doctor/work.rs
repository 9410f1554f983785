//! The schema, Postgres, and the queue.

use sqlx::PgPool;

use super::{doctor, installed, sql};

#[sqlx::test(migrations = false)]
async fn a_database_of_somebody_else_is_told_at_once(pool: PgPool) {
    let found = doctor(&pool, &[]).await;
    found.has("schema", "error", "nothing was ever migrated");
    assert_eq!((found.findings.len(), found.code), (1, Some(1)));
}

#[sqlx::test(migrations = false)]
async fn a_schema_of_another_build_is_told(pool: PgPool) {
    installed(&pool).await;
    doctor(&pool, &[]).await.is_well("schema");
    sql(
        &pool,
        "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 3; UPDATE _sqlx_migrations SET checksum = '' WHERE version = 4;
         UPDATE queue._migrations SET version = 999 WHERE version = 2",
    )
    .await;
    let found = doctor(&pool, &[]).await;
    found.has("schema", "error", "public is older than this program: migrations [3] are missing");
    found.has("schema", "warning", "does not know migrations [9999]");
    found.has("schema", "error", "migrations [4] of the schema public were something else");
    found.has("schema", "error", "the queue's schema is older than this program: migrations [2]");
    found.has("schema", "warning", "the queue's schema is newer than this program");
}

#[sqlx::test(migrations = false)]
async fn what_postgres_suffers_from_is_told(pool: PgPool) {
    installed(&pool).await;
    let found = doctor(&pool, &[]).await;
    for check in ["clock", "connections", "vacuum", "partitions"] {
        found.is_well(check);
    }
    let mut forgotten = pool.begin().await.expect("a transaction");
    sqlx::raw_sql("SET application_name = 'forgotten report'; SELECT 1")
        .execute(&mut *forgotten)
        .await
        .expect("held");
    sql(
        &pool,
        "ALTER TABLE queue.task SET (autovacuum_enabled = false);
         DO $$ BEGIN
             EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 1', current_database());
             EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
             EXECUTE format('DROP TABLE queue.run_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'));
             EXECUTE format('DROP TABLE queue.task_history_%s', to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYY_MM'));
         END $$",
    )
    .await;
    let found = doctor(&pool, &["--long-transaction", "0"]).await;
    found.has("xmin", "error", "of forgotten report (idle in transaction)");
    found.has("vacuum", "warning", "autovacuum is off for queue.task");
    found.has("connections", "error", "of 1 connections are used");
    found.has("postgres", "warning", "loses what was committed last: synchronous_commit=off");
    found.has("partitions", "error", "this month has no partitions run_");
    assert!(
        found
            .findings
            .iter()
            .any(|one| one["what"].as_str().is_some_and(|what| what.starts_with("next month has no")))
    );
    drop(forgotten);
}

#[sqlx::test(migrations = false)]
async fn a_check_that_cannot_look_says_so(pool: PgPool) {
    installed(&pool).await;
    sql(&pool, "DROP TABLE webhook_deliveries").await;
    let found = doctor(&pool, &[]).await;
    found.has("webhooks", "warning", "could not be looked at: could not count the webhooks of a day");
    found.is_well("prices");
}

#[sqlx::test(migrations = false)]
async fn tasks_that_nobody_does_are_told(pool: PgPool) {
    installed(&pool).await;
    let found = doctor(&pool, &[]).await;
    for check in ["workers", "kinds", "backlog", "invariants"] {
        found.is_well(check);
    }
    sql(
        &pool,
        "INSERT INTO queue.task (queue, kind, payload, state, run_at) VALUES ('light', 'close', '{}', 0, now() - interval '20 minutes');
         INSERT INTO queue.task (queue, kind, payload, state, why) VALUES ('light', 'mystery', '{}', 2, 'worker w has no handler for mystery');
         INSERT INTO queue.task (queue, kind, payload, state, version) VALUES ('elsewhere', 'close', '{}', 0, 7);
         INSERT INTO queue.queue (name, paused_at, paused_why) VALUES ('ffmpeg', now(), 'maintenance');
         INSERT INTO queue.task_history (id, finished_at, created_at, run_at, parks, state, priority, version, attempt, queue, kind, payload)
         VALUES (99, now(), now(), now(), 0, 6, 0, 1, 1, 'light', 'verify', '{}')",
    )
    .await;
    let found = doctor(&pool, &[]).await;
    found.has("workers", "error", "no live worker serves the queue elsewhere (close), in which 1 tasks wait");
    found.has("kinds", "error", "1 tasks of the kind mystery, version 1 (queue light), which this program does not know; workers have put 1");
    found.has("kinds", "warning", "the kind close, version 7");
    found.has("backlog", "warning", "1 tasks of the queue light are ready, the oldest for 20 min");
    found.has("backlog", "note", "the queue ffmpeg is paused: maintenance");
    found.has("backlog", "note", "1 tasks failed for good in the last 24 hours (1 verify)");

    sql(&pool, "UPDATE queue.worker SET dead_at = now()").await;
    doctor(&pool, &[]).await.has("workers", "error", "no worker is alive; 3 tasks wait");
    sql(&pool, "DELETE FROM queue.task").await;
    doctor(&pool, &[]).await.has("workers", "warning", "no worker is alive; 0 tasks wait");
}

#[sqlx::test(migrations = false)]
async fn broken_invariants_of_the_queue_are_told(pool: PgPool) {
    installed(&pool).await;
    sql(
        &pool,
        "INSERT INTO queue.worker (name, host, pid, slots, beat_at, lease_until)
             VALUES ('silent', 'h', 2, '{}', now() - interval '1 hour', now() - interval '59 minutes');
         INSERT INTO queue.task (queue, kind, payload, state, lease_token, worker_id, claimed_at, deadline_at)
             SELECT 'light', 'close', '{}', 4, 1, max(id), now(), now() + interval '1 hour' FROM queue.worker;
         INSERT INTO queue.task (queue, kind, payload, state, waits) VALUES ('light', 'close', '{}', 3, 1);
         INSERT INTO queue.edge (parent, child, run_anyway) VALUES (77, 2, true)",
    )
    .await;
    let found = doctor(&pool, &["--quick"]).await;
    found.has("invariants", "error", "lease_orphaned (leases): 1 running tasks whose worker is gone, or whose time is long over, and that nobody rescues: 1");
    found.has("invariants", "error", "task_blocked (queue): 1 blocked tasks of which all parents are done: nothing will ever start them: 2");
    found.has("invariants", "error", "edge_parent (queue)");
    assert_eq!(found.code, Some(1));
}
