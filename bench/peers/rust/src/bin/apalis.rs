//! apalis-postgres.
//!
//! Default: batch 10, LISTEN beside a poll every 100 ms. Without both, a worker that was idle once did not wake up.
//! Tuned: batch 200, `lock_tasks(false)`, LISTEN beside a poll every 50 ms, a task of the runtime for each of 24 at once.

use std::time::Duration;

use apalis::prelude::*;
use apalis_postgres::{Config, PgPool, PostgresStorage};
use peers::{Arguments, Outcome, Payload, Peer, Work, Working};
use sqlx::postgres::PgPoolOptions;

const QUEUE: &str = "main";

#[derive(Clone)]
struct Apalis {
    pool: PgPool,
    tuned: bool,
}

async fn handle(payload: Payload, work: Data<Work>) -> Result<(), BoxDynError> {
    work.handle(payload.job).await;
    Ok(())
}

impl Peer for Apalis {
    async fn connect(arguments: &Arguments) -> Outcome<Self> {
        let pool = PgPoolOptions::new().max_connections(24).connect(&arguments.database_url).await?;
        Ok(Self { pool, tuned: arguments.tuned() })
    }

    async fn setup(&self) -> Outcome<()> {
        PostgresStorage::setup(&self.pool).await?;
        Ok(())
    }

    async fn enqueue(&self, payload: Payload) -> Outcome<()> {
        self.enqueue_many(vec![payload]).await
    }

    async fn enqueue_many(&self, payloads: Vec<Payload>) -> Outcome<()> {
        let mut tasks = Vec::with_capacity(payloads.len());
        for payload in &payloads {
            tasks.push(TaskBuilder::new(serde_json::to_vec(payload)?).build());
        }
        let mut conn = self.pool.acquire().await?;
        apalis_postgres::queries::push_tasks(&mut *conn, QUEUE, tasks).await?;
        Ok(())
    }

    async fn work(&self, work: Work, slots: Option<usize>) -> Outcome<Working> {
        let slots = slots.unwrap_or(24);
        let running = if self.tuned {
            let config = Config::default().queue(QUEUE).batch_size(200).lock_tasks(false);
            let backend = PostgresStorage::new(&self.pool)
                .with_config(config)
                .with_pubsub()
                .poll_with_interval(Duration::from_millis(50));
            let worker = WorkerBuilder::new("peer")
                .backend(backend)
                .data(work)
                .concurrency(slots)
                .parallelize(tokio::spawn)
                .build(handle);
            tokio::spawn(worker.run())
        } else {
            let config = Config::default().queue(QUEUE);
            let backend = PostgresStorage::new(&self.pool)
                .with_config(config)
                .with_pubsub()
                .poll_with_interval(Duration::from_millis(100));
            let worker =
                WorkerBuilder::new("peer").backend(backend).data(work).concurrency(slots).build(handle);
            tokio::spawn(worker.run())
        };
        Ok(Box::new(running))
    }

    async fn left(&self) -> Outcome<i64> {
        Ok(sqlx::query_scalar("select count(*) from (select from apalis.jobs where status <> 'Done' limit 1) left_over")
            .fetch_one(&self.pool)
            .await?)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    peers::run::<Apalis>().await
}
