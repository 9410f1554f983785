//! What plain SQL can do on a real row: the ceilings. No leases, no fences, no history, no retries.
#![expect(
    clippy::disallowed_methods,
    reason = "the table exists only while the benchmark runs, so its SQL cannot be checked before"
)]

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool, postgres::PgListener};
use tokio::task::JoinSet;

use super::{Action, Answer, BATCH, CLIENTS, Clock, Orders};
use crate::{
    database::pool,
    figures::{BoxError, Histogram},
};

const PAYLOAD: &str = r#"{"job": 123456, "scene": "0190f3a1-7c1e-7000-8000-0123456789ab"}"#;

const SCHEMA: &str = "
    create table real (
        id bigserial primary key, queue text not null, kind text not null, payload jsonb not null, state smallint not null default 0,
        priority smallint not null default 0, run_at timestamptz not null default now(), attempt smallint not null default 0,
        max_attempts smallint not null default 5, lease_token bigint, lease_until timestamptz, created_at timestamptz not null default now(),
        finished_at timestamptz, last_error text);
    create index real_ready on real (queue, priority, run_at, id) where state = 0;
    create index real_running on real (lease_until) where state = 1";
const INSERT: &str =
    "insert into real (queue, kind, payload) values ('main', 'noop', $1::text::jsonb) returning id";
const INSERT_MANY: &str = "insert into real (queue, kind, payload)
    select u.queue, u.kind, u.payload::jsonb from unnest($1::text[], $2::text[], $3::text[]) as u(queue, kind, payload)";
const CLAIM: &str = "with picked as materialized (
         select id from real where queue = 'main' and state = 0 and run_at <= now()
         order by priority, run_at, id limit $1 for update skip locked)
     update real t set state = 1, attempt = attempt + 1, lease_token = 1, lease_until = now() + interval '10 seconds'
     from picked p where t.id = p.id returning t.id, t.attempt, t.kind, t.payload::text";
const FINISH: &str =
    "update real set state = 2, finished_at = now(), lease_until = null where id = any($1) and state = 1";

type Claimed = (i64, i16, String, String);

pub(super) async fn run(orders: &Orders) -> Result<Answer, BoxError> {
    let (url, tasks) = (orders.database_url.as_str(), orders.tasks);
    match orders.action {
        Action::Setup => {
            let clock = Clock::start();
            sqlx::raw_sql(SCHEMA).execute(&pool(url, 1).await?).await?;
            Ok(clock.stop(0))
        }
        Action::Fill => fill(url, tasks).await,
        Action::Enqueue => enqueue(url, tasks).await,
        Action::Drain => drain(url, 4, 200, orders.give_up).await,
        Action::DrainAlone => drain(url, 24, 1, orders.give_up).await,
        Action::Pickup => pickup(url, tasks).await,
        Action::Hold | Action::Share | Action::Idle | Action::Load => {
            Err("plain SQL has no worker that this could be asked of".into())
        }
    }
}

async fn fill(url: &str, tasks: usize) -> Result<Answer, BoxError> {
    let mut conn: PgConnection = PgConnection::connect(url).await?;
    let (queues, kinds, payloads) = (vec!["main"; BATCH], vec!["noop"; BATCH], vec![PAYLOAD; BATCH]);
    let clock = Clock::start();
    for first in (0..tasks).step_by(BATCH) {
        let count = BATCH.min(tasks - first);
        sqlx::query(INSERT_MANY)
            .bind(&queues[..count])
            .bind(&kinds[..count])
            .bind(&payloads[..count])
            .execute(&mut conn)
            .await?;
    }
    Ok(clock.stop(tasks))
}

async fn enqueue(url: &str, tasks: usize) -> Result<Answer, BoxError> {
    let pool = pool(url, CLIENTS as u32).await?;
    let clock = Clock::start();
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
    Ok(clock.stop(tasks / CLIENTS * CLIENTS))
}

async fn drain(url: &str, clients: usize, at_once: i64, give_up: u64) -> Result<Answer, BoxError> {
    let pool: PgPool = pool(url, clients as u32).await?;
    let clock = Clock::start();
    let mut all = JoinSet::new();
    for _ in 0..clients {
        let mut conn = pool.acquire().await?;
        all.spawn(async move {
            let mut done = 0;
            while !clock.is_over(give_up) {
                let claimed: Vec<Claimed> = sqlx::query_as(CLAIM).bind(at_once).fetch_all(&mut *conn).await?;
                if claimed.is_empty() {
                    break;
                }
                let ids: Vec<i64> = claimed.iter().map(|task| task.0).collect();
                sqlx::query(FINISH).bind(&ids).execute(&mut *conn).await?;
                done += ids.len();
            }
            Ok::<usize, sqlx::Error>(done)
        });
    }
    let mut done = 0;
    while let Some(client) = all.join_next().await {
        done += client??;
    }
    Ok(clock.stop(done))
}

/// One connection inserts and rings, one listens, one claims.
async fn pickup(url: &str, count: usize) -> Result<Answer, BoxError> {
    let pool = pool(url, 3).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("bench").await?;
    let mut claimer = pool.acquire().await?;
    let (sent, mut enqueued) = tokio::sync::mpsc::unbounded_channel();
    let mut producer = pool.acquire().await?;
    let clock = Clock::start();
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
    let mut latencies = Histogram::default();
    while latencies.count() < count {
        listener.recv().await?;
        let claimed: Vec<Claimed> = sqlx::query_as(CLAIM).bind(10_i64).fetch_all(&mut *claimer).await?;
        for _ in claimed {
            if let Some(at) = enqueued.recv().await {
                latencies.record(at.elapsed());
            }
        }
    }
    producing.await??;
    Ok(clock.stop_with(&latencies))
}
