//! What `spool doctor` asks the database, against one that was made ill.

use crate::purchases::{a_job, bought, buy, music};
use spool_db::checkup::{self, HolderKind};
use spool_db::keys::{self, ENTROPY_BYTES, KeyToken, NewKey, Scope};
use spool_db::schema;
use spool_job::money::Micros;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

async fn sql(conn: &mut PgConnection, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(conn).await.unwrap();
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_look_cannot_write(pool: PgPool) {
    let mut tx = pool.begin().await.unwrap();
    checkup::begin(&mut tx).await.unwrap();
    let refused = sqlx::raw_sql("DELETE FROM media").execute(&mut *tx).await.unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn the_server_says_how_it_is_set_up(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let server = checkup::server(&mut conn).await.unwrap();
    assert!(server.version_num >= 150_000 && !server.is_standby && server.autovacuum, "{server:?}");
    sql(&mut conn, "SET synchronous_commit = off").await;
    let careless = checkup::server(&mut conn).await.unwrap();
    assert!(careless.unsafe_settings.contains(&"synchronous_commit=off".to_owned()), "{careless:?}");

    let free = checkup::connections(&mut conn).await.unwrap();
    assert!(free.used >= 1 && free.used < free.allowed, "{free:?}");
    // The tightest bound counts.
    sql(
        &mut conn,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 1', current_database()); END $$",
    )
    .await;
    let tight = checkup::connections(&mut conn).await.unwrap();
    assert!(tight.allowed == 1 && tight.used >= 1, "{tight:?}");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn who_holds_old_rows_is_named(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let mut holder = pool.begin().await.unwrap();
    sql(&mut holder, "SET application_name = 'forgotten report'; SELECT pg_create_physical_replication_slot('checkup_' || pg_backend_pid(), false, true)").await;
    let pid: i32 =
        sqlx::query_scalar!(r#"SELECT pg_backend_pid() AS "pid!""#).fetch_one(&mut *holder).await.unwrap();
    let found = checkup::holders(&mut conn, 0.0).await.unwrap();
    let transaction = found.iter().find(|one| one.kind == HolderKind::Transaction && one.pid == Some(pid));
    let transaction = transaction.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(
        (transaction.name.as_str(), transaction.state.as_str()),
        ("forgotten report", "idle in transaction")
    );
    assert!(transaction.for_s.is_some());
    let slot = found.iter().find(|one| one.kind == HolderKind::Slot && one.name == format!("checkup_{pid}"));
    assert!(slot.is_some_and(|slot| slot.state.starts_with("active")), "{found:?}");
    let found = checkup::holders(&mut conn, 3600.0).await.unwrap();
    assert!(
        found.iter().all(|one| one.pid != Some(pid) || one.kind == HolderKind::Slot),
        "too young: {found:?}"
    );
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn dead_rows_and_tables_that_nobody_cleans_are_seen(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    sql(&mut conn, "ALTER TABLE media SET (autovacuum_enabled = false)").await;
    let fill = "INSERT INTO media (digest, bytes, content_type) SELECT md5(n::text) || md5(n::text), 1, 'x' FROM generate_series(1, 3000) n";
    sql(&mut conn, fill).await;
    sql(&mut conn, "DELETE FROM media").await;
    sql(&mut conn, "SELECT pg_stat_force_next_flush()").await;
    let tables = checkup::tables(&mut conn).await.unwrap();
    let media = tables.iter().find(|table| table.name == "public.media").unwrap();
    assert!(!media.autovacuum && media.dead == 3000 && media.threshold >= 50.0, "{media:?}");
    let limits = tables.iter().find(|table| table.name == "public.provider_limits").unwrap();
    assert!(limits.autovacuum && (limits.threshold - 200.0).abs() < 1.0, "by its own settings: {limits:?}");
    assert!(checkup::freezing(&mut conn).await.unwrap().age >= 0);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn losses_webhooks_and_models_are_counted(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(checkup::lost(&mut conn).await.unwrap(), checkup::Lost::default());
    let job = a_job(&mut conn).await;
    bought(&mut conn, music(job, 0), 100, 1).await;
    buy(&mut conn, music(job, 1), 100, 2).await;
    sql(
        &mut conn,
        "UPDATE predictions SET output_gone_at = now() - interval '1 hour' WHERE state = 'succeeded'",
    )
    .await;
    let lost = checkup::lost(&mut conn).await.unwrap();
    assert_eq!((lost.lately, lost.lately_cost, lost.ever), (1, Micros(100), 1));
    sql(
        &mut conn,
        "UPDATE predictions SET output_lost_at = now() - interval '8 days' WHERE state = 'succeeded'",
    )
    .await;
    let lost = checkup::lost(&mut conn).await.unwrap();
    assert_eq!((lost.lately, lost.ever), (0, 1));

    sql(&mut conn, "INSERT INTO webhook_deliveries (provider, id, received_at) VALUES ('replicate', 'a', now()), ('replicate', 'b', now() - interval '2 days')").await;
    let webhooks = checkup::webhooks(&mut conn).await.unwrap();
    assert_eq!((webhooks.received, webhooks.settled), (1, 1));

    sql(&mut conn, "UPDATE jobs SET state = 'processing', spec = spec || '{\"model\": \"a/b\"}'").await;
    let models = checkup::models_in_use(&mut conn).await.unwrap();
    assert_eq!(models, [("a/b".to_owned(), 1), ("google/veo-3.1-fast".to_owned(), 1)]);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn media_are_listed_in_parts(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    for (digit, bytes) in [('0', 1), ('a', 2), ('f', 3)] {
        let row = format!(
            "INSERT INTO media (digest, bytes, content_type) VALUES (repeat('{digit}', 64), {bytes}, 'x')"
        );
        sql(&mut conn, row).await;
    }
    let mut bytes = Vec::new();
    for part in 0..=255_u8 {
        bytes.extend(checkup::rows_below(&mut conn, &format!("{part:02x}")).await.unwrap());
    }
    assert_eq!(bytes.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(checkup::rows_below(&mut conn, "ff").await.unwrap().len(), 1);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn keys_that_can_be_used_are_counted(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    for n in 0..4 {
        let token = KeyToken::mint([n; ENTROPY_BYTES]);
        let new = NewKey {
            name: "k",
            scopes: Scope::ALL,
            client_id: None,
            expires_at: None,
            requests_per_minute: None,
            created_by: None,
        };
        keys::insert(&mut conn, &token, &new).await.unwrap();
        let change = [
            "revoked_at = now()",
            "expires_at = now()",
            "expires_at = now() + interval '1 day'",
            "name = 'k'",
        ][usize::from(n)];
        sql(&mut conn, format!("UPDATE api_keys SET {change} WHERE id = '{}'", token.id())).await;
    }
    let keys = checkup::keys(&mut conn).await.unwrap();
    assert_eq!((keys.usable, keys.expiring), (2, 1));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_schema_may_be_older_newer_and_another_one(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let same = schema::migrations(&mut conn).await.unwrap();
    assert!(
        same.applied > 10 && same.pending.is_empty() && same.unknown.is_empty() && same.changed.is_empty(),
        "{same:?}"
    );
    sql(
        &mut conn,
        "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4; UPDATE _sqlx_migrations SET checksum = '' WHERE version = 5",
    )
    .await;
    let other = schema::migrations(&mut conn).await.unwrap();
    assert_eq!((other.pending, other.unknown, other.changed), (vec![4], vec![9999], vec![5]));
}
