//! River's own Rust client.
//!
//! Tuned: what River's own bench command uses (`max_workers` 2000, fetch cooldown 2 ms, poll 20 ms).

use std::time::Duration;

use peers::{Arguments, Outcome, Payload, Peer, Work, Working};
use riverqueue::{
    BoxError, Client, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome, Workers, migrate::PostgresMigrator,
    sqlx::{self, PgPool, postgres::PgPoolOptions},
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "noop")]
struct Noop {
    job: u64,
    scene: String,
}

impl From<Payload> for Noop {
    fn from(payload: Payload) -> Self {
        Self { job: payload.job, scene: payload.scene }
    }
}

#[derive(Clone)]
struct River {
    pool: PgPool,
    producer: Client,
    tuned: bool,
}

impl Peer for River {
    async fn connect(arguments: &Arguments) -> Outcome<Self> {
        let pool = PgPoolOptions::new().max_connections(24).connect(&arguments.database_url).await?;
        Ok(Self { producer: Client::builder(pool.clone()).build()?, pool, tuned: arguments.tuned() })
    }

    async fn setup(&self) -> Outcome<()> {
        PostgresMigrator::new(self.pool.clone()).migrate_up().await?;
        Ok(())
    }

    async fn enqueue(&self, payload: Payload) -> Outcome<()> {
        self.producer.insert(Noop::from(payload)).await?;
        Ok(())
    }

    async fn enqueue_many(&self, payloads: Vec<Payload>) -> Outcome<()> {
        self.producer.insert_many(payloads.into_iter().map(Noop::from)).await?;
        Ok(())
    }

    async fn work(&self, work: Work, slots: Option<usize>) -> Outcome<Working> {
        let mut workers = Workers::new();
        workers.add_fn(move |_: WorkContext, job: Job<Noop>| {
            let work = work.clone();
            async move {
                work.handle(job.args.job).await;
                Ok::<_, BoxError>(WorkOutcome::Complete)
            }
        })?;
        let queue = if self.tuned {
            QueueConfig::new(slots.unwrap_or(2000))
                .with_fetch_cooldown(Duration::from_millis(2))
                .with_fetch_poll_interval(Duration::from_millis(20))
        } else {
            QueueConfig::new(slots.unwrap_or(24))
        };
        let client = Client::builder(self.pool.clone()).workers(workers).queue("default", queue).build()?;
        let running = client.start()?;
        Ok(Box::new((client, running)))
    }

    async fn left(&self) -> Outcome<i64> {
        Ok(sqlx::query_scalar("select count(*) from (select from river_job where state <> 'completed' limit 1) left_over")
            .fetch_one(&self.pool)
            .await?)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    peers::run::<River>().await
}
