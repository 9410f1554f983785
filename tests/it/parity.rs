//! What the frontends of the older systems rely on, item by item, over HTTP against the real programs. The items are those that the
//! acceptance list of the older systems counts; each stands here with the shortest true check, and names the test that goes deeper.
//!
//! | item | what | here | goes deeper |
//! | --- | --- | --- | --- |
//! | 1 to 6, 8 | creation | [`creation`] | `api/tests/it/jobs.rs` |
//! | 7, 13, 14 | approval, recovery, events | [`approval`] | `crash_sweep.rs`, `chaos.rs`, `api/tests/it/job_events.rs` |
//! | 9, 11, 12, 17, 19 | films, pictures, music | [`films`] | `the_film.rs`, `api/tests/it/videos.rs`, `clips.rs`, `audio.rs` |
//! | 10 | scenes | [`scenes`] | `api/tests/it/storyboard.rs` |
//! | 15 | assets | [`assets`] | `api/tests/it/assets.rs`, `asset_life.rs`, `downloads.rs` |
//! | 16 | import | [`import`] | `shared/import/tests` |
//! | 18 | throttled providers | [`throttled`] | `limits.rs`, `provider_outages.rs` |
//! | 20 | clients, campaigns, the document | [`catalogue`] | `api/tests/it/clients.rs`, `campaigns.rs`, `documents.rs` |
//! | 21 | what only the Python system had | [`python`] | `api/tests/it/owners.rs`, `keys.rs`, `storyboard.rs`, `dry_run.rs`, `retry.rs` |
//!
//! Of item 21 these are not there: export presets, the parsing of briefs, a console for any model, and physics scenes.

mod approval;
mod assets;
mod catalogue;
mod creation;
mod films;
mod import;
mod python;
mod scenes;
mod throttled;

use reqwest::{Method, Response};
use serde_json::Value;
use system_tests::system::System;

const JOBS: &str = "/api/v3/jobs";
const PAIRS: &str = "/api/v3/jobs/from-image-pairs";
const PROPERTY: &str = "/api/v3/jobs/from-property-photos";

/// Fails unless an object has these members, which callers read: by name, in their casing, whatever their value.
#[track_caller]
fn has(value: &Value, members: &str) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let missing: Vec<&str> = members.split_whitespace().filter(|name| !object.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {value}");
}

/// What an answer says, which must have this status.
async fn said(answer: Response, status: u16) -> Value {
    let (found, url) = (answer.status(), answer.url().path().to_owned());
    let text = answer.text().await.expect("a body");
    assert_eq!(found.as_u16(), status, "{url}: {text}");
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error} in {text}"))
}

/// The same of a request with the system's key. What is refused says so in a sentence named `error`.
async fn ask(system: &System, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
    let answer = said(system.request(method, path, body).await, status).await;
    if status >= 400 {
        assert!(answer["error"].as_str().is_some_and(|sentence| !sentence.is_empty()), "{path}: {answer}");
        has(&answer, "code request_id");
    }
    answer
}

/// The members that every list of an answer has.
fn list<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    answer[name].as_array().unwrap_or_else(|| panic!("no list {name} in {answer}"))
}

fn id_of(job: &Value) -> i64 {
    job["job_id"].as_i64().unwrap_or_else(|| panic!("no job_id in {job}"))
}
