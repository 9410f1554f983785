//! What a worker says at its start of a database that is not as it needs it.

use std::sync::{Arc, Mutex};

use spool_queue::{Done, Lack, lacks};
use sqlx::{ConnectOptions, Executor, PgPool};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::harness::{Running, Step, act, quick};

/// What was logged by this thread.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    pub(crate) fn has(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(part))
    }
}

impl Subscriber for Said {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("spool_queue")
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Fields(self));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Fields<'s>(&'s Said);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0.0.lock().unwrap().push(format!("{value:?}"));
    }
}

async fn what_is_lacking(pool: &PgPool) -> Vec<Lack> {
    lacks(&mut pool.acquire().await.unwrap()).await.unwrap()
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn nothing(pool: PgPool) {
    assert_eq!(what_is_lacking(&pool).await, []);
}

#[sqlx::test(migrations = false)]
async fn migrations(pool: PgPool) {
    assert_eq!(what_is_lacking(&pool).await, [Lack::Schema]);
    spool_queue::migrate(&pool).await.unwrap();
    assert_eq!(what_is_lacking(&pool).await, []);
    let mut conn = pool.acquire().await.unwrap();
    conn.execute("insert into queue._migrations (version, description, success, checksum, execution_time) values (999, 'later', true, '', 0)")
        .await
        .unwrap();
    assert_eq!(what_is_lacking(&pool).await, [Lack::Newer(vec![999])]);
    conn.execute("delete from queue._migrations where version in (2, 999)").await.unwrap();
    assert_eq!(what_is_lacking(&pool).await, [Lack::Older(vec![2])]);
    // A worker says it, and works as well as it can.
    let said = Said::default();
    let _heard = tracing::subscriber::set_default(said.clone());
    let worker =
        Running::start(quick("w", &pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await;
    assert!(said.has("the queue's schema is older than this program: migrations [2] are missing"));
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn permission(pool: PgPool) {
    let mut tx = pool.begin().await.unwrap();
    // A role lives in the whole server; this one is never committed.
    tx.execute("create role spool_queue_stranger").await.unwrap();
    tx.execute("grant usage on schema queue to spool_queue_stranger").await.unwrap();
    tx.execute("grant select, insert, update, delete on all tables in schema queue to spool_queue_stranger")
        .await
        .unwrap();
    tx.execute("revoke delete on queue.task, queue.edge from spool_queue_stranger").await.unwrap();
    tx.execute("set local role spool_queue_stranger").await.unwrap();
    let tables = vec!["edge".to_owned(), "task".to_owned()];
    let role = "spool_queue_stranger".to_owned();
    assert_eq!(lacks(&mut tx).await.unwrap(), [Lack::Permission { role, tables }]);
    tx.rollback().await.unwrap();
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn read_committed(pool: PgPool) {
    sqlx::raw_sql(
        "do $$ begin
             execute format('alter database %I set default_transaction_isolation = %L', current_database(), 'repeatable read');
         end $$",
    )
    .execute(&pool)
    .await
    .unwrap();
    let mut conn = pool.connect_options().connect().await.unwrap();
    let found = lacks(&mut conn).await.unwrap();
    let [Lack::Isolation { role, level }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(level, "repeatable read");
    let advice = format!("alter role {role} set default_transaction_isolation = 'read committed'");
    assert!(found[0].to_string().contains(&advice), "{}", found[0]);
    conn.execute("set default_transaction_isolation = 'read committed'").await.unwrap();
    assert_eq!(lacks(&mut conn).await.unwrap(), []);
}
