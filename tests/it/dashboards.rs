//! Every question of every panel, asked of a real Prometheus and a real Postgres after a real run under load, and a picture of the answers;
//! and what workers counted in that run is what the books say.

use crate::exposition::pages_are_as_declared;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use system_tests::books::number;
use system_tests::prometheus::{Prometheus, has_data};
use system_tests::receiver::Receiver;
use system_tests::system::{Options, System, command, program};
use system_tests::wait;

const VEO: &str = "google/veo-3.1-fast";
const MUSICGEN: &str = "meta/musicgen";
/// Two scrapes of everything that comes after the load, recording rules, and a rate over them.
const SETTLED: Duration = Duration::from_secs(240);
/// Of a job that has ended, nothing is left in the queue.
const EMPTY: [&str; 1] = ["In the queue"];
/// May only read, and not everything.
const READER: &str = "spool_grafana";
/// What a PNG begins and, when it is whole, ends with.
const PNG: (&[u8], &[u8]) = (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82");

/// What workers count of their own work, and the rows that say the same. The load leaves something in each.
const BOOKS: [(&str, &str); 8] = [
    (
        "sum(spool_money_micros_total{kind=\"reserved\"})",
        "SELECT sum(micros)::bigint FROM ledger WHERE kind = 'reserve'",
    ),
    (
        "sum(spool_money_micros_total{kind=\"settled\"})",
        "SELECT sum(micros)::bigint FROM ledger WHERE kind = 'settle'",
    ),
    (
        "sum(spool_money_micros_total{kind=\"released\"})",
        "SELECT sum(micros)::bigint FROM ledger WHERE kind = 'release'",
    ),
    (
        "sum(spool_jobs_ended_total{outcome=\"completed\"})",
        "SELECT count(*) FROM jobs WHERE state = 'completed'",
    ),
    ("sum(spool_job_own_seconds_count)", "SELECT count(*) FROM jobs WHERE state = 'completed'"),
    (
        "sum(spool_predictions_total{outcome=\"succeeded\"})",
        "SELECT count(*) FROM predictions WHERE state = 'succeeded' AND reused_from IS NULL",
    ),
    (
        "sum(spool_predictions_total{outcome=\"failed\"})",
        "SELECT count(*) FROM predictions WHERE state = 'failed'",
    ),
    (
        "sum(spool_provider_throttled_total{class=\"create\"})",
        "SELECT count(*) FROM predictions WHERE state = 'refused' AND error_class = 'throttled'",
    ),
];

async fn questions() -> Vec<Value> {
    let output = command(program("spool-dashboards")).arg("questions").output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a list")
}

/// Jobs with music, one of an order that was bought before, and troubles on the way: a 429, a failed render, a clip that is cut short, music
/// that does not come at once. Callers look at them in every way. The number of a job that had trouble.
async fn load(system: &System, receiver: &Receiver) -> i64 {
    system.post("/api/v3/webhooks/endpoints", json!({"url": receiver.url("/all")})).await;
    for rule in [
        json!({"match": {"route": "create"}, "times": 1, "fault": {"kind": "throttle", "retry_after": 1}}),
        // Each is told whom to meet: one that fails has no output to cut short, and half of a piece of music still plays.
        json!({"match": {"model": VEO, "nth": 2},
               "fault": {"kind": "fail", "error": "Prediction interrupted; please retry (code: PA)", "charge": "none"}}),
        json!({"match": {"model": VEO, "nth": 1},
               "fault": {"kind": "download_truncated", "percent": 50, "short_file": true}}),
        json!({"match": {"model": MUSICGEN, "nth": 1}, "fault": {"kind": "download_error", "status": 503}}),
    ] {
        system.fault(rule).await;
    }
    let campaign = system.campaign().await;
    let troubled =
        system.approved_job(&campaign, json!({"num_pairs": 2, "resolution": "720p", "music": true})).await;
    assert_eq!(system.finished(troubled).await["status"], "completed");
    let again = system
        .approved_job(&campaign, json!({"num_pairs": 2, "resolution": "720p", "music": true, "reuse": true}))
        .await;
    // Each worker ends more than one, for rates begin with the second.
    for _ in 0..2 {
        let more = system.approved_job(&campaign, json!({"num_pairs": 1, "resolution": "720p"})).await;
        assert_eq!(system.finished(more).await["status"], "completed");
    }
    for path in ["/api/v3/jobs", "/api/v3/nothing", "/api/v3/admin/spend?by=day"] {
        system.request(reqwest::Method::GET, path, None).await;
    }
    system.get(&format!("/api/v3/jobs/{again}?wait=1s")).await;
    assert_eq!(system.finished(again).await["status"], "completed");
    let url = format!("{}/api/v3/clients", system.ready.api);
    let request =
        system.http.post(url).header("x-api-key", &system.ready.key).header("idempotency-key", "once");
    request.json(&json!({"name": "Keyed"})).send().await.expect("an answer");
    system.video(troubled).await;
    cut_off(system).await;
    troubled
}

/// What is under way is looked at every few seconds, so it stays under way until it is seen.
async fn seen_in_flight(system: &System, prometheus: &Prometheus) {
    system.fault(json!({"fault": {"kind": "hold"}})).await;
    let campaign = system.campaign().await;
    let held = system.approved_job(&campaign, json!({"num_pairs": 1, "resolution": "720p"})).await;
    wait::until("a prediction in flight to be scraped", async || {
        prometheus.whole("max(spool_predictions_in_flight)").await.filter(|&flying| flying > 0)
    })
    .await;
    system.no_faults().await;
    assert_eq!(system.finished(held).await["status"], "completed");
}

/// What the load leaves no trace of; other tests see these counted, or firing.
const NOTHING_OF: [&str; 4] = [
    "ALERTS{alertstate=\"firing\",severity!=",
    "spool:tasks:sum{state=\"ready\",",
    "spool_queue_schedules_missed_total",
    "spool_queue_refused_total",
];

fn may_be_empty(asked: &Asked) -> bool {
    NOTHING_OF.iter().any(|name| asked.query.contains(name))
}

/// All connections of the workers are lost.
async fn cut_off(system: &System) {
    let cut =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'spool-worker%'";
    sqlx::raw_sql(cut).execute(&system.database().await).await.expect("cut off");
}

/// A question on its way.
struct Asked {
    index: usize,
    dashboard: String,
    panel: String,
    query: String,
}

impl Asked {
    fn new(index: usize, question: &Value) -> Self {
        let text = |member: &str| question[member].as_str().expect("a text").to_owned();
        Self { index, dashboard: text("dashboard"), panel: text("panel"), query: text("query") }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.dashboard, self.panel, self.query)
    }
}

/// A counter beside the rows that it must agree with.
#[derive(Default)]
struct Compared {
    query: &'static str,
    sql: &'static str,
    /// What both said last.
    seen: Cell<(Option<i64>, i64)>,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counted, booked) = self.seen.get();
        write!(f, "{}: {counted:?}, but {booked} by {}", self.query, self.sql)
    }
}

/// Counters begin with their process and nothing was killed, so they are equal once the last scrape has seen the end.
async fn counters_are_the_books(system: &System, prometheus: &Prometheus) {
    let pool = system.database().await;
    let compared = BOOKS.into_iter().map(|(query, sql)| Compared { query, sql, ..Compared::default() });
    wait::for_each(SETTLED, compared.collect(), async |one| {
        let (counted, booked) = (prometheus.whole(one.query).await, number(&pool, one.sql).await);
        one.seen.set((counted, booked));
        (booked > 0 && counted == Some(booked)).then_some(())
    })
    .await;
    let well = prometheus.whole("sum(spool_ffmpeg_runs_total{outcome=\"ok\"})").await;
    assert!(well > Some(0), "{well:?} runs of FFmpeg ended well");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_data_after_a_run_under_load_and_counters_are_the_books() {
    let receiver = Receiver::start().await;
    let env = vec![
        receiver.env(),
        ("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into()),
        ("SPOOL_ORPHAN_SWEEP_SECONDS", "3".into()),
    ];
    let system = System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, env }).await;
    let prometheus = Prometheus::watching(&system).await;
    let job = load(&system, &receiver).await;
    seen_in_flight(&system, &prometheus).await;
    make_role(&system).await;
    let mut all = questions().await;
    assert!(all.len() > 100, "only {} questions", all.len());

    let asked: Vec<Asked> =
        all.iter().enumerate().map(|(index, question)| Asked::new(index, question)).collect();
    let answers = wait::for_each(SETTLED, asked, async |asked| {
        let question = &all[asked.index];
        if question["source"] == "postgres" {
            return Some(rows(&system, &asked.query, job, EMPTY.contains(&asked.panel.as_str())).await);
        }
        let series = prometheus.range(&asked.query).await;
        (may_be_empty(asked) || has_data(&series)).then_some(series)
    })
    .await;
    for (asked, answer) in answers {
        all[asked.index]["answer"] = Value::Array(answer);
    }
    counters_are_the_books(&system, &prometheus).await;
    pages_are_as_declared(&system).await;
    let kept = std::env::var_os("SPOOL_TEST_PICTURES").map(PathBuf::from);
    let passing = tempfile::tempdir().expect("a folder");
    pictures(&all, kept.as_deref().unwrap_or(passing.path())).await;
    system.stop().await;
}

/// Makes the role that Grafana asks Postgres as, with the statements of the page that says how.
async fn make_role(system: &System) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut blocks = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block =
        blocks.find(|block| block.contains(&format!("create role {READER} "))).expect("its statements");
    let made = sqlx::raw_sql(AssertSqlSafe(block.to_owned())).execute(&system.database().await).await;
    made.unwrap_or_else(|error| panic!("{error} in {block}"));
}

/// What Postgres answers that role, each row as an object of texts.
async fn rows(system: &System, query: &str, job: i64, may_be_empty: bool) -> Vec<Value> {
    let mut transaction = system.database().await.begin().await.expect("a transaction");
    let become_reader = format!("SET LOCAL ROLE {READER}");
    sqlx::raw_sql(AssertSqlSafe(become_reader)).execute(&mut *transaction).await.expect("the role");
    let as_json = format!("SELECT to_jsonb(answer)::text AS row FROM ({query}) answer");
    #[expect(clippy::disallowed_methods, reason = "the query is the panel's")]
    let asked = sqlx::query(AssertSqlSafe(as_json)).bind(job.to_string()).fetch_all(&mut *transaction).await;
    let rows = asked.unwrap_or_else(|error| panic!("{error} in {query}"));
    assert!(may_be_empty || !rows.is_empty(), "nothing: {query}");
    rows.iter().map(|row| serde_json::from_str(&row.get::<String, _>(0)).expect("JSON")).collect()
}

/// One picture of each dashboard.
async fn pictures(answers: &[Value], folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let path = folder.join("answers.json");
    std::fs::write(&path, serde_json::to_vec(answers).expect("JSON")).expect("written");
    let drawn = command(program("spool-dashboards"))
        .arg("draw")
        .arg(&path)
        .arg(folder)
        .output()
        .await
        .expect("it runs");
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    let boards: BTreeSet<&str> = answers.iter().filter_map(|answer| answer["dashboard"].as_str()).collect();
    assert!(boards.len() > 5, "{boards:?}");
    for board in boards {
        let name = board.trim_start_matches("spool-");
        let output = command("gnuplot").arg(format!("{name}.gp")).current_dir(folder).output().await;
        let output = output.expect("gnuplot is installed: run scripts/bootstrap.sh test");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        let picture = std::fs::read(folder.join(format!("{name}.png"))).unwrap_or_default();
        let is_drawn = picture.starts_with(PNG.0) && picture.ends_with(PNG.1);
        assert!(is_drawn, "{name}: no picture in {} bytes; gnuplot says: {said}", picture.len());
    }
}
