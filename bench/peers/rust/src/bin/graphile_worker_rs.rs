//! graphile_worker, the Rust rewrite.
//!
//! Tuned: a local queue of 500, batch delays of 5 ms.

use std::time::Duration;

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions, WorkerUtils,
};
use peers::{Arguments, Outcome, Payload, Peer, Work, Working};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};

const SCHEMA: &str = "graphile_worker";

#[derive(Clone, Serialize, Deserialize)]
struct Noop(Payload);

#[derive(Clone)]
struct Handling(Work);

impl std::fmt::Debug for Handling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handling")
    }
}

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, ctx: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(Handling(work)) = ctx.get_ext::<Handling>() else { return Err("no work".to_owned()) };
        work.handle(self.0.job).await;
        Ok::<(), String>(())
    }
}

#[derive(Clone)]
struct Graphile {
    pool: PgPool,
    utils: std::sync::Arc<WorkerUtils>,
    tuned: bool,
}

impl Peer for Graphile {
    async fn connect(arguments: &Arguments) -> Outcome<Self> {
        let pool = PgPoolOptions::new().max_connections(24).connect(&arguments.database_url).await?;
        let utils = std::sync::Arc::new(WorkerUtils::new(pool.clone(), SCHEMA));
        Ok(Self { pool, utils, tuned: arguments.tuned() })
    }

    async fn setup(&self) -> Outcome<()> {
        self.utils.migrate().await?;
        Ok(())
    }

    async fn enqueue(&self, payload: Payload) -> Outcome<()> {
        self.utils.add_job(Noop(payload), JobSpec::default()).await?;
        Ok(())
    }

    async fn enqueue_many(&self, payloads: Vec<Payload>) -> Outcome<()> {
        let spec = JobSpec::default();
        let jobs: Vec<(Noop, &JobSpec)> = payloads.into_iter().map(|payload| (Noop(payload), &spec)).collect();
        self.utils.add_jobs(&jobs).await?;
        Ok(())
    }

    async fn work(&self, work: Work, slots: Option<usize>) -> Outcome<Working> {
        let mut options = WorkerOptions::default()
            .pg_pool(self.pool.clone())
            .schema(SCHEMA)
            .concurrency(slots.unwrap_or(24))
            .add_extension(Handling(work))
            .define_job::<Noop>();
        if self.tuned {
            options = options
                .local_queue(LocalQueueConfig::default().with_size(500))
                .complete_job_batch_delay(Duration::from_millis(5))
                .fail_job_batch_delay(Duration::from_millis(5));
        }
        let worker = options.init().await?;
        let running = tokio::spawn(async move { worker.run().await.map_err(|error| error.to_string()) });
        Ok(Box::new(running))
    }

    async fn left(&self) -> Outcome<i64> {
        Ok(sqlx::query_scalar("select count(*) from (select from graphile_worker._private_jobs limit 1) left_over")
            .fetch_one(&self.pool)
            .await?)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    peers::run::<Graphile>().await
}
