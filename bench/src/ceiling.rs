//! What plain SQL can do on a real row: the ceilings. No leases, no fences, no history, no retries.
#![expect(
    clippy::disallowed_methods,
    reason = "the table exists only while the benchmark runs, so its SQL cannot be checked before"
)]

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, postgres::PgListener};
use tokio::task::JoinSet;

use crate::{
    database::Database,
    figures::{BoxError, Latency},
};

pub(crate) const PAYLOAD: &str = r#"{"job": 123456, "scene": "0190f3a1-7c1e-7000-8000-0123456789ab"}"#;

const INSERT: &str =
    "insert into real (queue, kind, payload) values ('main', 'noop', $1::text::jsonb) returning id";
const CLAIM: &str = "with picked as materialized (
         select id from real where queue = 'main' and state = 0 and run_at <= now()
         order by priority, run_at, id limit $1 for update skip locked)
     update real t set state = 1, attempt = attempt + 1, lease_token = 1, lease_until = now() + interval '10 seconds'
     from picked p where t.id = p.id returning t.id, t.attempt, t.kind, t.payload::text";
const FINISH: &str =
    "update real set state = 2, finished_at = now(), lease_until = null where id = any($1) and state = 1";

type Claimed = (i64, i16, String, String);

pub(crate) async fn enqueue_one_by_one(database: &Database, tasks: usize) -> Result<f64, BoxError> {
    const CLIENTS: usize = 16;
    database.reset().await?;
    let pool = database.pool(CLIENTS as u32).await?;
    database.settle().await?;
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut conn = pool.acquire().await?;
        clients.spawn(async move {
            for _ in 0..tasks / CLIENTS {
                sqlx::query_scalar::<_, i64>(INSERT).bind(PAYLOAD).fetch_one(&mut *conn).await?;
            }
            Ok::<(), sqlx::Error>(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let rate = rate(tasks / CLIENTS * CLIENTS, started);
    pool.close().await;
    Ok(rate)
}

pub(crate) async fn enqueue_in_batches(database: &Database, tasks: usize) -> Result<f64, BoxError> {
    database.reset().await?;
    database.settle().await?;
    let mut conn = PgConnection::connect_with(&database.options()).await?;
    let started = Instant::now();
    fill(&mut conn, tasks).await?;
    let rate = rate(tasks, started);
    conn.close().await?;
    Ok(rate)
}

async fn fill(conn: &mut PgConnection, tasks: usize) -> Result<(), sqlx::Error> {
    let (queues, kinds, payloads) = (vec!["main"; 1000], vec!["noop"; 1000], vec![PAYLOAD; 1000]);
    for _ in 0..tasks / 1000 {
        sqlx::query(
            "insert into real (queue, kind, payload)
             select u.queue, u.kind, u.payload::jsonb from unnest($1::text[], $2::text[], $3::text[]) as u(queue, kind, payload)",
        )
        .bind(&queues)
        .bind(&kinds)
        .bind(&payloads)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub(crate) async fn drain_in_batches(database: &Database, tasks: usize) -> Result<f64, BoxError> {
    drain(database, tasks, 4, 200).await
}

pub(crate) async fn drain_one_by_one(database: &Database, tasks: usize) -> Result<f64, BoxError> {
    drain(database, tasks, 24, 1).await
}

async fn drain(database: &Database, tasks: usize, clients: usize, at_once: i64) -> Result<f64, BoxError> {
    database.reset().await?;
    let pool = database.pool(clients as u32).await?;
    fill(&mut *pool.acquire().await?, tasks).await?;
    database.settle().await?;
    let started = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..clients {
        let mut conn = pool.acquire().await?;
        all.spawn(async move {
            loop {
                let claimed: Vec<Claimed> = sqlx::query_as(CLAIM).bind(at_once).fetch_all(&mut *conn).await?;
                if claimed.is_empty() {
                    return Ok::<(), sqlx::Error>(());
                }
                let ids: Vec<i64> = claimed.iter().map(|task| task.0).collect();
                sqlx::query(FINISH).bind(&ids).execute(&mut *conn).await?;
            }
        });
    }
    while let Some(client) = all.join_next().await {
        client??;
    }
    let rate = rate(tasks, started);
    pool.close().await;
    Ok(rate)
}

/// One connection inserts and rings, one listens, one claims.
pub(crate) async fn pickup(database: &Database, count: usize) -> Result<Latency, BoxError> {
    database.reset().await?;
    let pool = database.pool(3).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("bench").await?;
    let mut claimer = pool.acquire().await?;
    let (sent, mut enqueued) = tokio::sync::mpsc::unbounded_channel();
    let mut producer = pool.acquire().await?;
    let producing = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..count {
            tick.tick().await;
            let _ = sent.send(Instant::now());
            sqlx::query_scalar::<_, i64>(INSERT).bind(PAYLOAD).fetch_one(&mut *producer).await?;
            sqlx::query("select pg_notify('bench', '')").execute(&mut *producer).await?;
        }
        Ok::<(), sqlx::Error>(())
    });
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        listener.recv().await?;
        let claimed: Vec<Claimed> = sqlx::query_as(CLAIM).bind(10_i64).fetch_all(&mut *claimer).await?;
        for _ in claimed {
            if let Some(at) = enqueued.recv().await {
                latencies.push(at.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    producing.await??;
    drop((listener, claimer));
    pool.close().await;
    Ok(Latency::of(latencies))
}

pub(crate) fn rate(tasks: usize, started: Instant) -> f64 {
    tasks as f64 / started.elapsed().as_secs_f64()
}
