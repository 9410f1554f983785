//! `spool doctor` as a program: each check on a database that was made ill, and its exit codes.

mod money;
mod outside;
mod work;

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};
use tokio::process::Command;

const BOUND: Duration = Duration::from_secs(120);

/// What it said and what it ended with.
struct Diagnosis {
    code: Option<i32>,
    findings: Vec<Value>,
}

impl Diagnosis {
    /// The finding of a check whose sentence has this part.
    #[track_caller]
    fn has(&self, check: &str, severity: &str, part: &str) {
        let says = |one: &&Value| one["what"].as_str().is_some_and(|what| what.contains(part));
        let found = self.findings.iter().filter(|one| one["check"] == check).find(says);
        let found = found.unwrap_or_else(|| panic!("no {part:?} of {check} in {:#?}", self.findings));
        assert_eq!(found["severity"], severity, "{found}");
        assert_eq!(found["do"].is_string(), matches!(severity, "warning" | "error"), "{found}");
    }

    /// A check that has nothing to complain of.
    #[track_caller]
    fn is_well(&self, check: &str) {
        let found: Vec<&Value> = self.findings.iter().filter(|one| one["check"] == check).collect();
        assert!(!found.is_empty() && found.iter().all(|one| one["severity"] == "ok"), "{check}: {found:#?}");
    }
}

async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    #[expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_spool"));
    command.arg("doctor").args(arguments).stdin(Stdio::null()).env_remove("DATABASE_URL");
    for name in [
        "REPLICATE_API_TOKEN",
        "REPLICATE_WEBHOOK_SECRET",
        "PUBLIC_BASE_URL",
        "SPOOL_SIGNING_KEY",
        "SPOOL_MEDIA_URL",
    ] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    tokio::time::timeout(BOUND, command.output()).await.expect("it ends").expect("it starts")
}

fn url(pool: &PgPool) -> String {
    pool.connect_options().to_url_lossy().to_string()
}

async fn doctor(pool: &PgPool, arguments: &[&str]) -> Diagnosis {
    let arguments: Vec<&str> = [&["--json"], arguments].concat();
    let output = run(&arguments, &[("DATABASE_URL", &url(pool))]).await;
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error} in {said}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().expect("a list").clone();
    assert_eq!(report["exit_code"].as_i64(), output.status.code().map(i64::from));
    Diagnosis { code: output.status.code(), findings }
}

async fn sql(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{error} in {sql}"));
}

/// Both schemas, and a worker that is alive by its row.
async fn installed(pool: &PgPool) {
    spool_db::schema::migrate(pool).await.expect("our schema");
    spool_queue::migrate(pool).await.expect("the queue's schema");
    sql(
        pool,
        "INSERT INTO queue.worker (name, host, pid, slots, lease_until)
         VALUES ('w', 'h', 1, '{\"predict\": 256, \"collect\": 8, \"ffmpeg\": 2, \"hooks\": 8, \"light\": 64}', now() + interval '1 hour')",
    )
    .await;
}
