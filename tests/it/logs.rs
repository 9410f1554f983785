//! One line per request and per attempt, in the words of the dictionary, and nothing secret in any line of any process.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::system::{Options, System};
use system_tests::wait;

const PROMPT: &str = "A lighthouse keeper called Zebulon Quatermass paints his door ultramarine";
const MUSIC: &str = "An accordion waltz for the daughters of the harbour master";

/// Asks with a request id of the test's own.
async fn ask(system: &System, id: &str, method: Method, path: &str, body: Option<Value>) -> Value {
    let mut request = system
        .http
        .request(method, format!("{}{path}", system.ready.api))
        .header("authorization", format!("Bearer {}", system.ready.key))
        .header("x-request-id", id);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    if answer.status() == 204 {
        return Value::Null;
    }
    answer.json().await.expect("JSON")
}

/// From now on every program says all it can.
async fn at_the_top_of_its_voice(system: &System) {
    for program in ["api", "worker"] {
        let body = json!({"program": program, "filter": "debug,spool_worker=trace", "minutes": 60});
        ask(system, "louder", Method::PUT, "/api/v3/admin/log-level", Some(body)).await;
    }
    for program in ["api", "worker-1", "worker-2"] {
        wait::until(&format!("{program} to log more"), async || {
            let lines = system.lines(program);
            lines.iter().any(|line| line["message"] == "the log level is changed").then_some(())
        })
        .await;
    }
}

/// A job with words of the test's own in it; approved by the request `approval`.
async fn job(system: &System) -> i64 {
    let campaign = system.campaign().await;
    let body = json!({"campaign_id": campaign, "clip_duration": 4, "num_pairs": 2, "resolution": "720p", "reuse": false});
    let made = ask(system, "creation", Method::POST, "/api/v3/jobs/from-image-pairs", Some(body)).await;
    let id = made["job_id"].as_i64().expect("a number");
    let scenes = system.get(&format!("/api/v3/jobs/{id}/scenes")).await;
    for scene in scenes["scenes"].as_array().expect("scenes") {
        let path = format!("/api/v3/jobs/{id}/scenes/{}", scene["id"].as_str().expect("an id"));
        let words = json!({"prompt": PROMPT, "music_prompt": MUSIC});
        ask(system, "words", Method::PUT, &path, Some(words)).await;
    }
    ask(system, "approval", Method::POST, &format!("/api/v3/jobs/{id}/approve"), Some(json!({}))).await;
    id
}

/// Everything that must not stand in any log.
async fn secrets(system: &System) -> BTreeMap<&'static str, String> {
    let file = |name: &str| {
        let text = std::fs::read_to_string(system.dir.path().join(name)).expect("a secret of the folder");
        text.trim().to_owned()
    };
    let asked = system.http.get(format!("{}/v1/webhooks/default/secret", system.ready.simulator));
    let asked = asked.bearer_auth("r8_simulated").send().await.expect("an answer");
    let secret: Value = asked.json().await.expect("JSON");
    BTreeMap::from([
        ("the API key", system.ready.key.clone()),
        ("the provider's token", "r8_simulated".to_owned()),
        ("the webhook secret", secret["key"].as_str().expect("a secret").to_owned()),
        ("the signing key", file("signing.key")),
        ("the password of Postgres", file("postgres.password")),
        ("a prompt", PROMPT.to_owned()),
        ("a part of a prompt", "Zebulon Quatermass".to_owned()),
        ("words for music", MUSIC.to_owned()),
        ("a signature", "sig=".to_owned()),
        ("a planted signature", "plantedsignature".to_owned()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_film_leaves_one_line_each_and_no_secret() {
    // Nobody takes its spans: nothing waits for that, and nothing is lost but they.
    let env = vec![("SPOOL_OTLP_ENDPOINT", "http://127.0.0.1:9".to_owned())];
    let system = System::start(&Options { workers: 2, cheap_media: true, env, ..Options::default() }).await;
    at_the_top_of_its_voice(&system).await;
    // A provider repeats what it was asked, and links, in what it says of a failure.
    let said = format!(
        "CUDA error while making \"{PROMPT}\" from https://cdn.example/in.jpg?sig=plantedsignature (code: PA)"
    );
    system
        .fault(json!({"match": {"model": "google/veo-3.1-fast", "nth": 1}, "fault": {"kind": "fail", "error": said}}))
        .await;
    let id = job(&system).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    system.video(id).await;
    ask(&system, "quieter", Method::DELETE, "/api/v3/admin/log-level?program=worker", None).await;

    one_line_per_request(&system);
    one_line_per_attempt(&system, id).await;
    let api = system.lines("api");
    let audit = system.get("/api/v3/admin/audit").await;
    let noted =
        audit["data"].as_array().expect("rows").iter().filter(|row| row["request_id"] == "louder").count();
    assert_eq!(noted, 2, "who made it louder is on record: {audit}");
    let unsent = api
        .iter()
        .filter(|line| line["message"].as_str().is_some_and(|m| m.starts_with("spans cannot be sent")));
    assert_eq!(unsent.count(), 1, "said once");

    let secrets = secrets(&system).await;
    let logs = system.logs();
    assert!(logs.len() >= 5, "{:?}", logs.iter().map(|(name, _)| name).collect::<Vec<_>>());
    let mut told = Vec::new();
    for (file, text) in &logs {
        for line in text.lines() {
            for (what, _) in secrets.iter().filter(|(_, secret)| line.contains(secret.as_str())) {
                told.push(format!("{file} tells {what}: {line}"));
            }
        }
    }
    assert!(told.is_empty(), "\n  {}\n", told.join("\n  "));
    // It was a run worth looking at.
    let loud = system.lines("worker").iter().filter(|line| line["level"] == "DEBUG").count();
    assert!(loud > 50, "{loud} lines for debugging");
    let redacted = logs.iter().map(|(_, text)| text.matches("[redacted]").count()).sum::<usize>();
    assert!(redacted > 0, "something was there to be taken out");
    system.stop().await;
}

fn one_line_per_request(system: &System) {
    let lines = system.lines("api");
    let of = |id: &str| {
        let of_request = lines.iter().filter(|line| line["message"] == "request" && line["request_id"] == id);
        of_request.cloned().collect::<Vec<Value>>()
    };
    assert_eq!(
        (of("creation").len(), of("words").len(), of("approval").len(), of("louder").len()),
        (1, 2, 1, 2)
    );
    let line = &of("creation")[0];
    assert_eq!((&line["method"], &line["status"]), (&json!("POST"), &json!(201)), "{line}");
    assert_eq!(line["route"], "/api/v3/jobs/from-image-pairs");
    assert!(
        line["duration_ms"].is_f64() && line["key_id"].is_string() && line["trace_id"].is_string(),
        "{line}"
    );
}

/// The attempts by the queue's own books, each with its number, and the lines that tell of them.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn one_line_per_attempt(system: &System, job: i64) {
    let pool = system.database().await;
    let group = format!("job/{job}");
    let ended: Vec<(i64, i16)> = sqlx::query_as(
        "SELECT id, attempt FROM queue.task_history WHERE group_key = $1
         UNION SELECT r.task_id, r.attempt FROM queue.run r JOIN queue.task_history t ON t.id = r.task_id
               WHERE t.group_key = $1 AND r.counted",
    )
    .bind(&group)
    .fetch_all(&pool)
    .await
    .expect("rows");
    assert!(ended.len() >= 10, "{ended:?}");
    let tasks: BTreeSet<i64> = ended.iter().map(|(task, _)| *task).collect();
    // `close` tells of the end of the job before it has told of its own.
    wait::until("the line of each attempt", async || {
        let mut told: BTreeMap<(i64, i16), u32> = BTreeMap::new();
        for line in system.lines("worker").iter().filter(|line| is_of_an_attempt(line)) {
            let task = line["task_id"].as_i64().expect("a number");
            let attempt = line["attempt"].as_i64().and_then(|n| i16::try_from(n).ok()).expect("a number");
            if tasks.contains(&task) {
                *told.entry((task, attempt)).or_default() += 1;
                assert_eq!(
                    (&line["job_id"], &line["request_id"]),
                    (&json!(job), &json!("approval")),
                    "{line}"
                );
                assert!(line["duration_ms"].is_f64() && line["kind"].is_string(), "{line}");
            }
        }
        assert!(told.values().all(|times| *times == 1), "{told:?}");
        ended.iter().all(|attempt| told.contains_key(attempt)).then_some(())
    })
    .await;
}

fn is_of_an_attempt(line: &Value) -> bool {
    line["message"] == "attempt" && line["outcome"] != "parked" && line["outcome"] != "handed_back"
}
