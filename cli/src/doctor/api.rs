//! An API process as its callers meet it: does it answer, is it ready, and what time is it there.

use std::time::Duration;

use chrono::DateTime;
use reqwest::{Client, Response};
use serde_json::Value;
use spool_job::clock::{Clock, SystemClock};
use spool_telemetry::build;
use url::Url;

use super::finding::or_ok;
use super::{Finding, Findings, clock};

const PATIENCE: Duration = Duration::from_secs(10);
/// Dates in HTTP are whole seconds.
const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn look(base: &Url) -> Findings {
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let base = base.as_str().trim_end_matches('/');
    let before = SystemClock.now();
    let health = match client.get(format!("{base}/healthz")).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let what = format!("{base} does not answer: {}", crate::told(&error));
            return Ok(vec![Finding::error(
                what,
                "start it (`spool-api`), or give the address that it announces",
            )]);
        }
    };
    let after = SystemClock.now();
    let mut found = Vec::new();
    if let Some(there) = date(&health) {
        found.push(clock::judge("the API", there.to_utc(), before, after, SECOND));
    }
    let version =
        health.json::<Value>().await.ok().and_then(|body| body["version"].as_str().map(str::to_owned));
    match version {
        None => found.push(Finding::error(
            format!("what answers at {base} is no API of ours"),
            "give the address that `spool-api --announce` prints",
        )),
        Some(version) if version != build::VERSION => found
            .push(Finding::note(format!("the API is version {version}, this program {}", build::VERSION))),
        Some(_) => {}
    }
    found.extend(ready(&client, base).await);
    Ok(or_ok(found, || "it answers".to_owned()))
}

fn date(answer: &Response) -> Option<DateTime<chrono::FixedOffset>> {
    DateTime::parse_from_rfc2822(answer.headers().get("date")?.to_str().ok()?).ok()
}

async fn ready(client: &Client, base: &str) -> Option<Finding> {
    let answer = client.get(format!("{base}/readyz")).send().await.ok()?;
    if answer.status().is_success() {
        return Some(Finding::ok("it is ready"));
    }
    let body: Value = answer.json().await.unwrap_or_default();
    let lacking: Vec<&str> =
        ["database", "migrations", "storage"].into_iter().filter(|part| body[*part] == false).collect();
    Some(Finding::error(
        format!("the API is not ready: {}", lacking.join(", ")),
        "its log says why: look for `not ready`",
    ))
}
