//! Polls as frontends make them: at a steady rate, with the tag of the last answer, while films are rendered.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

use super::Outcome;
use super::figures::UnderRender;
use crate::figures::BoxError;
use crate::system::{Api, checked};

/// One poll in so many asks for the film that is being made, whose answer changes.
const OF_THE_FILM: usize = 10;

type Tags = Mutex<HashMap<i64, String>>;

/// The film that is being made, and how many were.
struct Films {
    now: AtomicI64,
    made: AtomicUsize,
}

/// Polls for so many seconds, `per_second` times each.
///
/// # Errors
/// When no film can be made, or `/metrics` cannot be read.
pub(super) async fn run(
    api: &Api,
    order: &Value,
    jobs: &[i64],
    per_second: u32,
    seconds: u32,
) -> Outcome<UnderRender> {
    let before = from_memory(api).await?;
    let films = Films { now: AtomicI64::new(start_film(api, order).await?), made: AtomicUsize::new(0) };
    let (times, took) = tokio::select! {
        polled = poll_all(api, &films, jobs, per_second, seconds) => polled,
        failed = film_after_film(api, order, &films) => return Err(failed),
    };
    let after = from_memory(api).await?;
    let mut answered: Vec<f64> = times.iter().copied().flatten().collect();
    answered.sort_by(f64::total_cmp);
    let at = |part: f64| answered.get((answered.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
    Ok(UnderRender {
        polls: times.len(),
        per_second: times.len() as f64 / took.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        most_ms: answered.last().copied().unwrap_or(f64::NAN),
        failed: times.len() - answered.len(),
        hit_ratio: (after.0 - before.0) / (after.1 - before.1),
        films: films.made.into_inner(),
    })
}

/// What each poll took, and all of them together.
async fn poll_all(
    api: &Api,
    films: &Films,
    jobs: &[i64],
    per_second: u32,
    seconds: u32,
) -> (Vec<Option<f64>>, Duration) {
    let (begin, every, tags) = (Instant::now(), Duration::from_secs(1) / per_second, Tags::default());
    let (mut under_way, mut times) = (FuturesUnordered::new(), Vec::new());
    for number in 0..per_second * seconds {
        let due = begin + every * number;
        loop {
            // Answers are taken until the next one is due.
            tokio::select! {
                () = sleep_until(due.into()) => break,
                Some(time) = under_way.next() => times.push(time),
            }
        }
        let number = number as usize;
        let job = if number.is_multiple_of(OF_THE_FILM) {
            films.now.load(Ordering::Relaxed)
        } else {
            jobs[number % jobs.len()]
        };
        under_way.push(poll(api, &tags, job, due));
    }
    while let Some(time) = under_way.next().await {
        times.push(time);
    }
    (times, begin.elapsed())
}

/// Milliseconds from when it was due to the end of the answer; `None` when it was none.
async fn poll(api: &Api, tags: &Tags, job: i64, due: Instant) -> Option<f64> {
    let mut request = api.http.get(format!("{}/api/v3/jobs/{job}", api.base)).header("x-api-key", &api.key);
    if let Some(tag) = tags.lock().ok()?.get(&job) {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    let answer = request.send().await.ok()?;
    if !answer.status().is_success() && answer.status() != StatusCode::NOT_MODIFIED {
        return None;
    }
    let tag = answer.headers().get(header::ETAG)?.to_str().ok()?.to_owned();
    answer.bytes().await.ok()?;
    tags.lock().ok()?.insert(job, tag);
    Some(due.elapsed().as_secs_f64() * 1e3)
}

/// Comes back only when one cannot be made.
async fn film_after_film(api: &Api, order: &Value, films: &Films) -> BoxError {
    loop {
        match api.finished(films.now.load(Ordering::Relaxed)).await {
            Ok(status) if status == "completed" => films.made.fetch_add(1, Ordering::Relaxed),
            Ok(status) => return format!("a film {status}").into(),
            Err(error) => return error,
        };
        match start_film(api, order).await {
            Ok(next) => films.now.store(next, Ordering::Relaxed),
            Err(error) => return error,
        }
    }
}

async fn start_film(api: &Api, order: &Value) -> Outcome<i64> {
    let job = api.post("/api/v3/jobs/from-image-pairs", order.clone()).await?["job_id"]
        .as_i64()
        .ok_or("no job id")?;
    api.post(&format!("/api/v3/jobs/{job}/approve"), json!({})).await?;
    Ok(job)
}

/// Polls answered from memory, and all polls, since the API started.
async fn from_memory(api: &Api) -> Outcome<(f64, f64)> {
    let text = checked(api.http.get(format!("{}/metrics", api.base)).send().await?).await?.text().await?;
    let (mut hits, mut all) = (0.0, 0.0);
    for line in text.lines().filter(|line| line.starts_with("spool_status_cache_total{")) {
        let count: f64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
        all += count;
        if line.contains("\"hit\"") || line.contains("\"joined\"") {
            hits += count;
        }
    }
    if all > 0.0 { Ok((hits, all)) } else { Err("the API counts no polls".into()) }
}
