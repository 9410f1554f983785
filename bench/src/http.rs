//! The API under load: status polls and creations, each beside the least that axum and one statement of sqlx take for it, in turns in one
//! run; and a thousand polls a second while a film is rendered.
//!
//! Needs a running system (`spool dev`) and wrk; `scripts/bench-http.sh` starts one.

mod ceiling;
mod figures;
mod polls;
mod wrk;

use clap::Args;
use figures::{Figures, Work};
use reqwest::{Client, header};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

use crate::database::pool;
use crate::figures::BoxError;
use crate::machine::Machine;
use crate::system::{Api, checked};

type Outcome<T> = Result<T, BoxError>;

/// Jobs that are polled in turns.
const JOBS: usize = 100;
/// Campaigns that jobs are created in, in turns: those of one campaign wait for each other, as their names count up.
const CAMPAIGNS: usize = 50;

/// The API under load.
#[derive(Debug, Args)]
pub(crate) struct Http {
    /// Base address of the API.
    #[arg(long)]
    api: String,
    /// An API key with write scope.
    #[arg(long, env = "SPOOL_KEY")]
    key: String,
    /// The system's Postgres: the least that can be done is measured on a table of its own there.
    #[arg(long, env = "DATABASE_URL")]
    database: String,
    /// Folder with at least two photos.
    #[arg(long, default_value = "examples/lodge")]
    photos: PathBuf,
    /// Connections of wrk.
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// Seconds of each run of wrk.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// Runs of each work.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Polls a second while a film is rendered.
    #[arg(long, default_value_t = 1000)]
    polls: u32,
    /// Seconds of these.
    #[arg(long, default_value_t = 30)]
    poll_seconds: u32,
    /// Where the JSON file goes.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
}

impl Http {
    /// # Errors
    /// What could not be measured, or the targets that were missed.
    pub(crate) async fn run(self) -> Outcome<()> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let api = Api { http, base: self.api.clone(), key: self.key.clone() };
        let mut figures = Figures::new(Machine::now().await, self.connections);
        let pool = pool(&self.database, 16).await?;
        let least = ceiling::start(pool.clone()).await?;
        let campaign = api.campaign("Polled", &self.photos).await?;
        let order = order(&campaign);
        let mut jobs = Vec::new();
        for _ in 0..JOBS {
            let job = api.post("/api/v3/jobs/from-image-pairs", order.clone()).await?;
            jobs.push(job["job_id"].as_i64().ok_or("no job id")?);
        }
        let tags = tags(&api, &jobs).await?;
        let mut orders = Vec::new();
        for number in 1..=CAMPAIGNS {
            orders.push(self::order(&api.campaign_of(&format!("Created {number}"), &self.photos, 2).await?));
        }

        let polled = |base: &str, prefix: &str, with_tags: bool| wrk::Load {
            base: base.to_owned(),
            key: self.key.clone(),
            script: wrk::gets(prefix, &jobs, with_tags.then_some(tags.as_slice())),
        };
        let created = |base: &str, path: &str, orders: &[Value], run: String| wrk::Load {
            base: base.to_owned(),
            key: self.key.clone(),
            script: wrk::posts(path, orders, &format!("bench-{}-{run}", std::process::id())),
        };
        let (one, path) = (&orders[..1], "/api/v3/jobs/from-image-pairs");
        for round in 0..self.rounds {
            for (work, load) in [
                (Work::OneRow, polled(&least, "/jobs/", false)),
                (Work::Poll, polled(&self.api, "/api/v3/jobs/", false)),
                (Work::PollUnchanged, polled(&self.api, "/api/v3/jobs/", true)),
                (Work::OneInsert, created(&least, "/jobs", one, round.to_string())),
                (Work::Create, created(&self.api, path, &orders, format!("{round}-many"))),
                (Work::CreateInOne, created(&self.api, path, one, format!("{round}-one"))),
            ] {
                let rate = load.run(self.connections, self.seconds).await?;
                println!("{:<64} {:>9.0} a second, p99 {:.1} ms", work.name(), rate.per_second, rate.p99_ms);
                figures.add(work, rate);
            }
        }
        figures.under_render = polls::run(&api, &order, &jobs, self.polls, self.poll_seconds).await?;
        figures.print();
        println!("written to {}", figures.write(&self.out)?.display());
        let missed = figures.missed_targets();
        if missed.is_empty() { Ok(()) } else { Err(missed.join("; ").into()) }
    }
}

/// What is created: one clip from two photos.
fn order(campaign: &str) -> Value {
    json!({"campaign_id": campaign, "clip_duration": 4, "num_pairs": 1, "video_model": "veo-3.1-fast"})
}

/// The tag of each job's answer.
async fn tags(api: &Api, jobs: &[i64]) -> Outcome<Vec<String>> {
    let mut tags = Vec::new();
    for job in jobs {
        let request = api.http.get(format!("{}/api/v3/jobs/{job}", api.base)).header("x-api-key", &api.key);
        let answer = checked(request.send().await?).await?;
        let tag = answer.headers().get(header::ETAG).ok_or("an answer without a tag")?;
        tags.push(tag.to_str()?.to_owned());
    }
    Ok(tags)
}
