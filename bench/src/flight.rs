//! Predictions in flight on one worker: what thousands of renders that wait cost it, and how fast a webhook wakes the task of one.
//!
//! Needs a running system (`spool dev`) with a simulator that has nothing else to do; `scripts/bench-flight.sh` starts one.
#![expect(
    clippy::disallowed_methods,
    reason = "the database is one that does not exist when this is compiled"
)]

mod figures;

use clap::Args;
use figures::{Figures, MOST_IDLE_CPU_PERCENT, MOST_MEMORY_MB, MOST_WAKE_P99_MS};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::database::pool;
use crate::figures::BoxError;
use crate::machine::Machine;
use crate::system::{Api, Process};

type Outcome<T> = Result<T, BoxError>;

/// Scenes of a job: four pairs of eight photos. The first of each is never let go, so that no job comes to its FFmpeg steps.
const SCENES: usize = 4;
/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// All must be in flight by then.
const BOUND: Duration = Duration::from_secs(900);
/// Between the last of them and the measurement: the first looks, which come often, are over.
const CALM: Duration = Duration::from_secs(130);
/// What the provider allows for everything but creating, in requests a second.
const PROVIDER_READS: f64 = 3000.0 / 60.0;

/// Predictions in flight on one worker.
#[derive(Debug, Args)]
pub(crate) struct Flight {
    /// Base address of the API.
    #[arg(long)]
    api: String,
    /// Base address of the simulator.
    #[arg(long)]
    simulator: String,
    /// An API key with all scopes.
    #[arg(long, env = "SPOOL_KEY")]
    key: String,
    /// The system's Postgres.
    #[arg(long, env = "DATABASE_URL")]
    database: String,
    /// The one worker.
    #[arg(long)]
    worker: u32,
    /// Folder with at least eight photos.
    #[arg(long, default_value = "examples/lodge")]
    photos: PathBuf,
    /// How much faster than life the simulator is, and with it what the provider allows.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Predictions in flight at the same time.
    #[arg(long, default_value_t = 2000)]
    predictions: usize,
    /// Seconds for which all of them wait.
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// Renders that end, four a second.
    #[arg(long, default_value_t = 400)]
    wakes: u32,
    /// Where the JSON file goes.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
}

impl Flight {
    /// # Errors
    /// What could not be measured, or the limits that were passed.
    pub(crate) async fn run(self) -> Outcome<()> {
        let figures = self.measure().await?;
        println!("written to {}", figures.write(&self.out)?.display());
        let passed = figures.passed_limits();
        if passed.is_empty() { Ok(()) } else { Err(passed.join("; ").into()) }
    }

    async fn measure(&self) -> Outcome<Figures> {
        let machine = Machine::now().await;
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let api = Api { http: http.clone(), base: self.api.clone(), key: self.key.clone() };
        let pool = pool(&self.database, 1).await?;
        let worker = Process(self.worker);
        let empty = worker.resident_mb()?;
        let begin = Instant::now();
        self.fill(&api).await?;
        in_flight(&pool, self.predictions as i64).await?;
        let filled = begin.elapsed().as_secs_f64();
        println!("{} predictions in flight after {filled:.0} s", self.predictions);
        tokio::time::sleep(CALM).await;

        let (cpu, looks, idle) = (worker.cpu_seconds()?, looks(&pool).await?, Instant::now());
        tokio::time::sleep(Duration::from_secs(self.idle)).await;
        let seconds = idle.elapsed().as_secs_f64();
        let busy = (worker.cpu_seconds()? - cpu) / seconds * 100.0;
        let looks = (self::looks(&pool).await? - looks) as f64 / seconds;
        println!(
            "memory       {:>7.0} MB peak, {:.0} MB now, {empty:.0} MB before (limit {MOST_MEMORY_MB:.0})",
            worker.peak_mb()?,
            worker.resident_mb()?
        );
        println!("CPU          {busy:>7.1} % of a core while all wait (limit {MOST_IDLE_CPU_PERCENT:.0})");
        println!(
            "looks        {looks:>7.1} a second (the provider allows {:.0})",
            PROVIDER_READS * self.speed
        );

        let before = delivered(&pool).await?;
        for _ in 0..self.wakes {
            post(&http, &format!("{}/_sim/release", self.simulator), json!({"count": 1})).await?;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        ended(&pool, i64::from(self.wakes)).await?;
        let woken = wakes(&pool, before).await?;
        println!(
            "wake-up      {:>7.0} ms p50, {:.0} ms p99, {:.0} ms longest, from webhook to running, {} of {} (limit {MOST_WAKE_P99_MS:.0})",
            woken.p50, woken.p99, woken.most, woken.count, self.wakes
        );
        let peak = worker.peak_mb()?;
        println!("memory       {peak:>7.0} MB peak at the end");
        Ok(Figures {
            measured_at: now(&pool).await?,
            machine,
            predictions: self.predictions,
            filled_seconds: filled,
            memory_before_mb: empty,
            memory_peak_mb: peak,
            idle_cpu_percent: busy,
            looks_per_second: looks,
            wakes: self.wakes,
            wakes_counted: woken.count,
            wake_p50_ms: woken.p50,
            wake_p99_ms: woken.p99,
            wake_most_ms: woken.most,
        })
    }

    /// Jobs whose renders do not end before they are let go; of each the first never does.
    async fn fill(&self, api: &Api) -> Outcome<()> {
        let campaign = api.campaign("Flight", &self.photos).await?;
        let limit = json!({"scope": "all", "period": "day", "hard_limit_micros": 1_000_000_000_000_u64});
        api.put("/api/v3/admin/budgets", limit).await?;
        for number in 0..self.predictions.div_ceil(SCENES) {
            let style = format!("flight {number}");
            let job = json!({"campaign_id": campaign, "clip_duration": 4, "num_pairs": SCENES, "resolution": "720p",
                             "video_model": "veo-3.1-fast", "music": false, "style": style});
            let job = api.post("/api/v3/jobs/from-image-pairs", job).await?;
            let id = job["job_id"].as_i64().ok_or("no job id")?;
            if number == 0 {
                self.hold(api, id).await?;
            }
            api.post(&format!("/api/v3/jobs/{id}/approve"), json!({})).await?;
        }
        Ok(())
    }

    async fn hold(&self, api: &Api, job: i64) -> Outcome<()> {
        let scenes = api.get(&format!("/api/v3/jobs/{job}/scenes")).await?;
        let prompt = find_text(&scenes, "prompt").ok_or("no prompt in the scenes")?;
        let first = prompt.split(',').next().unwrap_or_default();
        let faults = json!([
            {"match": {"input_contains": first}, "times": "always", "fault": {"kind": "stuck_processing"}},
            {"fault": {"kind": "hold"}},
        ]);
        post(&api.http, &format!("{}/_sim/faults", self.simulator), faults).await
    }
}

/// The first text under this name, wherever it is.
fn find_text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    match value {
        Value::Object(fields) => fields
            .get(name)
            .and_then(Value::as_str)
            .or_else(|| fields.values().find_map(|value| find_text(value, name))),
        Value::Array(items) => items.iter().find_map(|value| find_text(value, name)),
        _ => None,
    }
}

async fn post(http: &Client, url: &str, body: Value) -> Outcome<()> {
    http.post(url).json(&body).send().await?.error_for_status()?;
    Ok(())
}

async fn in_flight(pool: &PgPool, wanted: i64) -> Outcome<()> {
    until(pool, "SELECT count(*) FROM predictions WHERE state = 'submitted'", wanted).await
}

async fn ended(pool: &PgPool, wanted: i64) -> Outcome<()> {
    until(pool, "SELECT count(*) FROM predictions WHERE state = 'succeeded'", wanted).await
}

async fn until(pool: &PgPool, sql: &'static str, wanted: i64) -> Outcome<()> {
    let begin = Instant::now();
    loop {
        let now: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
        if now >= wanted {
            return Ok(());
        }
        if begin.elapsed() > BOUND {
            return Err(format!("{now} of {wanted} after {} s: {sql}", BOUND.as_secs()).into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn looks(pool: &PgPool) -> Outcome<i64> {
    Ok(sqlx::query_scalar("SELECT coalesce(sum(polls), 0)::bigint FROM predictions").fetch_one(pool).await?)
}

async fn now(pool: &PgPool) -> Outcome<String> {
    let sql = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}

/// Until when webhooks were delivered, in seconds.
async fn delivered(pool: &PgPool) -> Outcome<f64> {
    let sql = "SELECT coalesce(max(extract(epoch FROM received_at)), 0)::float8 FROM webhook_deliveries";
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}

/// In milliseconds.
#[derive(Debug, sqlx::FromRow)]
struct Wakes {
    p50: f64,
    p99: f64,
    most: f64,
    count: i64,
}

/// From the delivery of a last webhook to the start of the run that it woke. A look that found the end first was not woken.
async fn wakes(pool: &PgPool, since: f64) -> Outcome<Wakes> {
    let sql = "WITH woken AS (
            SELECT extract(epoch FROM h.started_at - w.received_at)::float8 * 1000 AS ms
            FROM webhook_deliveries w JOIN predictions p ON p.id = w.prediction_id
            JOIN queue.task_history h ON h.id = p.task_id
            WHERE extract(epoch FROM w.received_at) > $1 AND p.state = 'succeeded' AND h.started_at >= w.received_at)
        SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), 0) AS p50,
               coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY ms), 0) AS p99,
               coalesce(max(ms), 0) AS most, count(*) AS count FROM woken";
    Ok(sqlx::query_as(sql).bind(since).fetch_one(pool).await?)
}
