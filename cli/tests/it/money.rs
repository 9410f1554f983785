//! `spool budget`, `breaker`, `limits` and `spend` as an operator types them: what they print, and what stands in the database then.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};
use tokio::process::Command;

const BOUND: Duration = Duration::from_secs(120);
const CLIENT: &str = "00000000-0000-7000-8000-0000000000c1";
const MODEL: &str = "google/veo-3.1-fast";

/// Both schemas, a client, and its job whose task waits for money.
async fn installed(pool: &PgPool) {
    spool_db::schema::migrate(pool).await.expect("our schema");
    spool_queue::migrate(pool).await.expect("the queue's schema");
    sql(
        pool,
        &format!(
            "INSERT INTO clients (id, name) VALUES ('{CLIENT}', 'Lodge');
             INSERT INTO jobs (id, client_id, type, state, video_name, spec, estimate, estimate_micros, stage, approved_at)
                 OVERRIDING SYSTEM VALUE
                 VALUES (7, '{CLIENT}', 'image_pairs', 'processing', 'v', '{{\"model\": \"{MODEL}\"}}', '{{}}', 400000, 'rendering', now());
             INSERT INTO queue.task (queue, kind, payload, state, group_key, run_at, why)
                 VALUES ('predict', 'render', '{{}}', 2, 'job/7', now() + interval '1 hour', 'no money');
             INSERT INTO spend_waits (task_id, job_id, share, micros) SELECT id, 7, '', 400000 FROM queue.task"
        ),
    )
    .await;
}

async fn sql(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{error} in {sql}"));
}

/// The rows that a query finds.
async fn rows(pool: &PgPool, sql: &str) -> Vec<Value> {
    #[expect(clippy::disallowed_methods, reason = "tests look at rows as they are")]
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT to_jsonb(found) FROM ({sql}) found")))
        .fetch_all(pool)
        .await
        .unwrap_or_else(|error| panic!("{error} in {sql}"))
}

async fn run(pool: &PgPool, words: &[&str]) -> Output {
    #[expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_spool"));
    command
        .args(words)
        .env("DATABASE_URL", pool.connect_options().to_url_lossy().as_str())
        .env("USER", "ann")
        .stdin(Stdio::null());
    tokio::time::timeout(BOUND, command.output()).await.expect("it ends").expect("it starts")
}

/// What a command prints that goes well.
async fn spool(pool: &PgPool, words: &[&str]) -> String {
    let output = run(pool, words).await;
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// What a command says that is refused.
async fn refused(pool: &PgPool, words: &[&str]) -> String {
    let output = run(pool, words).await;
    assert!(!output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("text")
}

/// The lines of a text, each without what follows the comma before this word: a time, which is another each day.
fn without(text: &str, word: &str) -> Vec<String> {
    text.lines().map(|line| line.split(&format!(", {word}")).next().unwrap_or_default().to_owned()).collect()
}

/// Whether the task that waited for money is ready.
async fn is_woken(pool: &PgPool) -> bool {
    let found = rows(pool, "SELECT t.state, w.offered_at IS NOT NULL AS offered FROM queue.task t JOIN spend_waits w ON w.task_id = t.id").await;
    match &found[..] {
        [row] if *row == json!({"state": 0, "offered": true}) => true,
        [row] if *row == json!({"state": 2, "offered": false}) => false,
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrations = false)]
async fn a_budget_is_set_shown_and_removed(pool: PgPool) {
    installed(&pool).await;
    let all = "all per day: $0.00 spent, $0.00 held; soft limit $100.00, hard limit $150.00";
    assert_eq!(without(&spool(&pool, &["budget", "list"]).await, "turns at"), [all]);
    let whose = format!("client:{CLIENT}");
    let monthly = [whose.as_str(), "--period", "month"];
    let set =
        [&["budget", "set"], &monthly[..], &["--soft", "5", "--hard", "0.3", "--zone", "Europe/Berlin"]];
    let told = refused(&pool, &set.concat()).await;
    assert!(told.contains("the soft limit must not be above the hard limit"), "{told}");
    let set =
        [&["budget", "set"], &monthly[..], &["--soft", "0.2", "--hard", "0.3", "--zone", "Europe/Berlin"]];
    let of_client =
        format!("client:{CLIENT} per month: $0.00 spent, $0.00 held; soft limit $0.20, hard limit $0.30");
    assert_eq!(without(&spool(&pool, &set.concat()).await, "turns at"), [all, &of_client]);
    assert_eq!(without(&spool(&pool, &["budget", "list"]).await, "turns at"), [all, &of_client]);
    let row =
        "SELECT zone, soft_micros, hard_micros FROM budgets WHERE scope = 'client' AND period = 'month'";
    assert_eq!(
        rows(&pool, row).await,
        [json!({"zone": "Europe/Berlin", "soft_micros": 200_000, "hard_micros": 300_000})]
    );
    assert!(!is_woken(&pool).await, "it wants $0.40");

    // What is not given stays, and what waited for money goes on.
    spool(&pool, &[&["budget", "set"], &monthly[..], &["--hard", "20.50"]].concat()).await;
    assert_eq!(
        rows(&pool, row).await,
        [json!({"zone": "Europe/Berlin", "soft_micros": 200_000, "hard_micros": 20_500_000})]
    );
    assert!(is_woken(&pool).await);

    let told = refused(&pool, &["budget", "set", "--hard", "1", "--zone", "Mars/Olympus"]).await;
    assert!(told.contains("Mars/Olympus is not the name of a time zone"), "{told}");
    let remove = [&["budget", "remove"], &monthly[..]].concat();
    assert_eq!(spool(&pool, &remove).await, "");
    assert_eq!(rows(&pool, row).await, Vec::<Value>::new());
    let told = refused(&pool, &remove).await;
    assert!(told.contains("there is no such budget; `spool budget list` shows all"), "{told}");
}

#[sqlx::test(migrations = false)]
async fn spending_is_stopped_and_resumed(pool: PgPool) {
    installed(&pool).await;
    let told = spool(&pool, &["budget", "stop", "prices look wrong"]).await;
    assert_eq!(told, "all new spending is stopped; `spool budget resume` lifts it\n");
    let row = "SELECT why, by FROM spend_stop";
    assert_eq!(rows(&pool, row).await, [json!({"why": "prices look wrong", "by": "ann"})]);
    let listed = spool(&pool, &["budget", "list"]).await;
    let stop = listed.lines().last().expect("a line");
    assert!(
        stop.starts_with("ALL SPENDING IS STOPPED since ") && stop.ends_with(" by ann: prices look wrong"),
        "{listed}"
    );
    assert!(!is_woken(&pool).await);
    assert_eq!(spool(&pool, &["budget", "resume"]).await, "");
    assert_eq!(rows(&pool, row).await, Vec::<Value>::new());
    assert!(is_woken(&pool).await);
    assert!(!spool(&pool, &["budget", "list"]).await.contains("STOPPED"));
    let told = refused(&pool, &["budget", "resume"]).await;
    assert!(told.contains("spending is not stopped"), "{told}");
}

#[sqlx::test(migrations = false)]
async fn a_breaker_is_held_open_and_closed(pool: PgPool) {
    installed(&pool).await;
    assert_eq!(spool(&pool, &["breaker", "list"]).await, "all breakers are closed\n");
    let opened = spool(&pool, &["breaker", "open", "its clips are grey", MODEL]).await;
    assert!(
        opened.starts_with(&format!("replicate {MODEL}: open since "))
            && opened.ends_with(" by operator: its clips are grey\n"),
        "{opened}"
    );
    assert_eq!(spool(&pool, &["breaker", "list"]).await, opened);
    let open = "SELECT provider, model, opened_by, why FROM breakers WHERE open_until IS NOT NULL";
    let row = json!({"provider": "replicate", "model": MODEL, "opened_by": "operator", "why": "its clips are grey"});
    assert_eq!(rows(&pool, open).await, [row]);
    // That of the whole account is another.
    let told = refused(&pool, &["breaker", "close"]).await;
    assert!(told.contains("that breaker is not open; `spool breaker list` shows those that are"), "{told}");
    assert_eq!(spool(&pool, &["breaker", "close", MODEL]).await, "all breakers are closed\n");
    assert_eq!(rows(&pool, open).await, Vec::<Value>::new());
    let told = refused(&pool, &["breaker", "open", "x", "veo"]).await;
    assert!(told.contains("give owner/name, or * for all"), "{told}");
}

#[sqlx::test(migrations = false)]
async fn limits_are_set_shown_and_reset(pool: PgPool) {
    installed(&pool).await;
    let account = "replicate create *: 600 a minute, 0 of any number in flight, 0 waiting, by the settings";
    let reads = "replicate other *: 3000 a minute, by the settings";
    let list = async || spool(&pool, &["limits", "list"]).await;
    assert_eq!(list().await, format!("{account}\n{reads}\n"));
    let model =
        format!("replicate create {MODEL}: 30 a minute, 0 of 3 in flight, 0 waiting, set by an operator");
    let told = spool(&pool, &["limits", "set", MODEL, "--per-minute", "30", "--max-in-flight", "3"]).await;
    assert_eq!(told, format!("{account}\n{model}\n{reads}\n"));
    let row = format!("SELECT class, per_minute, max_in_flight FROM provider_limits WHERE model = '{MODEL}'");
    assert_eq!(rows(&pool, &row).await, [json!({"class": "create", "per_minute": 30, "max_in_flight": 3})]);
    let told = spool(&pool, &["limits", "set", "--reads", "--per-minute", "900"]).await;
    assert!(told.contains("\nreplicate other *: 900 a minute, set by an operator\n"), "{told}");
    let told = refused(&pool, &["limits", "set", "--reads", "--max-in-flight", "1"]).await;
    assert!(told.contains("reads have a rate of the whole account only"), "{told}");

    spool(&pool, &["limits", "reset", MODEL]).await;
    assert_eq!(
        rows(&pool, &row).await,
        [json!({"class": "create", "per_minute": null, "max_in_flight": null})]
    );
    let told = refused(&pool, &["limits", "reset", "another/model"]).await;
    assert!(told.contains("there is no such limit; `spool limits list` shows all"), "{told}");

    let told = spool(&pool, &["limits", "weight", CLIENT, "2.5"]).await;
    let weight = format!("\nreplicate client {CLIENT} (Lodge): weight 2.5, 0 waiting\n");
    assert!(told.ends_with(&weight), "{told}");
    let told = refused(&pool, &["limits", "weight", CLIENT, "0"]).await;
    assert!(told.contains("a weight is at least 0.01 and at most 100"), "{told}");
}

/// One purchase of $0.40 that went well, one of $0.20 that failed and was charged, and one that is on its way.
const PURCHASES: &str = "
    INSERT INTO predictions (id, job_id, purpose, ordinal, attempt, task_id, lease_token, provider, model, input, input_digest, unit, state,
                             external_id, estimate_micros, cost_micros, finished_at, intent_at)
    SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, 7, 'music', n, 1, 1, 1, 'replicate', model, '{}', repeat('0', 64),
           'second', state, 'x' || n, 400000, cost, now(), '2026-11-21T12:00:00Z'
    FROM (VALUES (1, 'succeeded', 'google/veo-3.1-fast', 400000), (2, 'failed', 'meta/musicgen', 200000), (3, 'submitted', 'meta/musicgen', NULL))
         p (n, state, model, cost);
    INSERT INTO ledger (prediction_id, job_id, client_id, model, kind, micros, at)
    SELECT p.id, 7, j.client_id, p.model, 'settle', p.cost_micros, '2026-11-21T12:00:00Z'
    FROM predictions p JOIN jobs j ON j.id = p.job_id WHERE p.cost_micros > 0";

#[sqlx::test(migrations = false)]
async fn spending_is_told_by_day_client_model_and_class(pool: PgPool) {
    installed(&pool).await;
    sql(&pool, PURCHASES).await;
    let told = async |by: &str, days: [&str; 2]| {
        spool(&pool, &["spend", "--by", by, "--from", days[0], "--to", days[1]]).await
    };
    let (days, head) = (["2026-11-20", "2026-11-21"], "from 2026-11-20 to 2026-11-21, days of UTC");
    let sum = "in all: $0.60 spent, $0.40 held";
    let lodge = format!("{CLIENT} (Lodge): $0.60 spent in 2 purchases, $0.40 held");
    for (by, lines) in [
        ("day", vec!["2026-11-21: $0.60 spent in 2 purchases, $0.40 held"]),
        ("client", vec![lodge.as_str()]),
        ("campaign", vec!["none: $0.60 spent in 2 purchases, $0.40 held"]),
        (
            "model",
            vec![
                "google/veo-3.1-fast: $0.40 spent in 1 purchases, $0.00 held",
                "meta/musicgen: $0.20 spent in 1 purchases, $0.40 held",
            ],
        ),
    ] {
        assert_eq!(told(by, days).await, format!("{head}\n{}\n{sum}\n", lines.join("\n")), "{by}");
    }
    assert_eq!(
        told("class", days).await.lines().collect::<Vec<_>>(),
        [
            head,
            "useful: $0.40 in 1 purchases",
            "duplicate: $0.00 in 0 purchases",
            "orphaned: $0.00 in 0 purchases",
            "late_cancelled: $0.00 in 0 purchases",
            "failed: $0.20 in 1 purchases",
        ]
    );
    let nothing = "from 2026-11-18 to 2026-11-19, days of UTC\nin all: $0.00 spent, $0.00 held\n";
    assert_eq!(told("day", ["2026-11-18", "2026-11-19"]).await, nothing);
    let refused = refused(&pool, &["spend", "--from", "2026-11-21", "--to", "2026-11-20"]).await;
    assert!(refused.contains("--from must not be after --to"), "{refused}");
}
