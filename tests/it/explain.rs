//! A running system says why a job waits: for money, behind a paused queue, while no worker is alive. Then each goes on.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::system::{Options, System, command, program};
use system_tests::wait;

/// A job of one clip: 4 s of veo-3.1-fast at $0.10.
const PRICE: i64 = 400_000;

async fn limit(system: &System, hard: i64) {
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": hard});
    let answer = system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
}

async fn explained(system: &System, id: i64) -> Value {
    system.get(&format!("/api/v3/jobs/{id}/explain")).await
}

/// Waits until this is what keeps the job from going on, before all else.
async fn held_by(system: &System, id: i64, gate: &str) -> Value {
    wait::until(&format!("job {id} to wait for {gate}"), async || {
        let found = explained(system, id).await;
        (found["gates"][0]["gate"] == gate).then_some(found)
    })
    .await
}

/// What `spool explain` prints.
async fn told(system: &System, id: i64) -> String {
    let mut spool = command(program("spool"));
    spool.args(["explain", &id.to_string(), "--database-url", &system.ready.database_url]);
    let output = spool.output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_says_what_it_waits_for_and_goes_on() {
    let system = System::start(&Options { speed: 60.0, cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let clip = json!({"num_pairs": 1, "parameters": {"music": false}});

    limit(&system, PRICE / 2).await;
    let poor = system.approved_job(&campaign, clip.clone()).await;
    wait::until("the wait for money", async || {
        let job = system.get(&format!("/api/v3/jobs/{poor}")).await;
        (job["parked"] == "budget").then_some(())
    })
    .await;
    let found = held_by(&system, poor, "budget").await;
    let money = "Waits for money: $0.40 would pass the daily limit of $0.20 by $0.20; goes on when the day turns at 00:00 UTC or the limit is raised.";
    assert_eq!(found["sentence"], money);
    assert_eq!(found["gates"][0]["missing_micros"], PRICE / 2);
    let printed = told(&system, poor).await;
    assert!(
        printed.starts_with(&format!("Job {poor} is approved. {money}\nEnds no sooner than ")),
        "{printed}"
    );
    assert!(printed.contains("\n  Stitch waits for render of scene 1 (parked).\n"), "{printed}");

    // The clip is bought, but nothing may join it.
    system.pause("ffmpeg", Some("a new FFmpeg is installed")).await;
    limit(&system, 100 * PRICE).await;
    let found = held_by(&system, poor, "queue_paused").await;
    assert!(
        found["sentence"]
            .as_str()
            .is_some_and(|sentence| sentence.starts_with("Waits for queue ffmpeg to be resumed")),
        "{found}"
    );
    assert_eq!(found["estimated_end"]["reason"], "nobody knows when queue ffmpeg is resumed");
    system.pause("ffmpeg", None).await;
    let job = system.finished(poor).await;
    assert_eq!(job["status"], "completed", "{job}");
    // Traces are off where nobody says where they go.
    let found = explained(&system, poor).await;
    assert!(found["request_id"].is_string() && found["trace_id"].is_null(), "{found}");
    let lines = [system.lines("api"), system.lines("worker")].concat();
    assert!(lines.iter().any(|line| line["message"] == "attempt" && line["job_id"] == poor), "{lines:?}");
    let traced: Vec<&Value> = lines.iter().filter(|line| !line["trace_id"].is_null()).collect();
    assert!(traced.is_empty(), "{traced:?}");
    assert!(
        explained(&system, poor).await["sentence"]
            .as_str()
            .is_some_and(|told| told.starts_with("Completed at ")),
        "it says what became of it"
    );
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_a_job_says_so() {
    let env = vec![("SPOOL_LEASE_SECONDS", "2".into())];
    let system = System::start(&Options { cheap_media: true, env, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let only = Pid::from_raw(system.ready.worker_pids[0]);
    // Asleep, so that nobody starts another in its place; its lease runs out.
    kill(only, Signal::SIGSTOP).expect("it can be stopped");
    let more = json!({"num_pairs": 2, "parameters": {"music": false}});
    let id = system.approved_job(&campaign, more).await;
    let found = held_by(&system, id, "no_worker").await;
    assert!(
        found["sentence"].as_str().is_some_and(
            |told| told.starts_with("Waits for a worker: none that serves queue predict is alive")
        ),
        "{found}"
    );
    assert_eq!(found["estimated_end"]["early"], Value::Null);
    let printed = told(&system, id).await;
    assert!(
        printed.contains("Nobody knows when it ends: no worker that serves queue predict is alive."),
        "{printed}"
    );
    kill(only, Signal::SIGCONT).expect("it can be woken");
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    system.stop().await;
}
