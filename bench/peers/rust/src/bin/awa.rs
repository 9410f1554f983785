//! awa.
//!
//! Tuned: 256 workers, 2 claimers.

use awa::{
    Client, InsertOpts, JobArgs, JobResult, QueueConfig,
    model::{insert, insert_many_copy_from_pool},
};
use peers::{Arguments, Outcome, Payload, Peer, Work, Working};
use serde::{Deserialize, Serialize};
use sqlx_of_awa::{PgPool, postgres::PgPoolOptions};

#[derive(Clone, Debug, Serialize, Deserialize, JobArgs)]
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
struct Awa {
    pool: PgPool,
    tuned: bool,
}

impl Peer for Awa {
    async fn connect(arguments: &Arguments) -> Outcome<Self> {
        let pool = PgPoolOptions::new().max_connections(24).connect(&arguments.database_url).await?;
        Ok(Self { pool, tuned: arguments.tuned() })
    }

    async fn setup(&self) -> Outcome<()> {
        awa::migrations::run(&self.pool).await?;
        Ok(())
    }

    async fn enqueue(&self, payload: Payload) -> Outcome<()> {
        awa::insert(&self.pool, &Noop::from(payload)).await?;
        Ok(())
    }

    async fn enqueue_many(&self, payloads: Vec<Payload>) -> Outcome<()> {
        let mut jobs = Vec::with_capacity(payloads.len());
        for payload in payloads {
            jobs.push(insert::params_with(&Noop::from(payload), InsertOpts::default())?);
        }
        insert_many_copy_from_pool(&self.pool, &jobs).await?;
        Ok(())
    }

    async fn work(&self, work: Work, slots: Option<usize>) -> Outcome<Working> {
        let mut queue = QueueConfig::default();
        if self.tuned {
            queue.max_workers = 256;
            queue.claimers = 2;
        }
        if let Some(slots) = slots {
            queue.max_workers = slots as u32;
        }
        let client = Client::builder(self.pool.clone())
            .queue("default", queue)
            .register::<Noop, _, _>(move |job, _| {
                let work = work.clone();
                async move {
                    work.handle(job.job).await;
                    Ok(JobResult::Completed)
                }
            })
            .build()?;
        client.start().await?;
        Ok(Box::new(client))
    }

    async fn left(&self) -> Outcome<i64> {
        Ok(sqlx_of_awa::query_scalar("select count(*) from (select from awa.jobs where state not in ('completed') limit 1) left_over")
            .fetch_one(&self.pool)
            .await?)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    peers::run::<Awa>().await
}
