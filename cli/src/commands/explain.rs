//! `spool explain`: why a job stands where it stands, in sentences.

use std::process::ExitCode;

use secrecy::SecretString;
use spool_explain::{Basis, Estimate};

use super::Ending;
use crate::stack::schema;

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// Postgres: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: SecretString,
    /// All fields as JSON, as in `GET /api/v3/jobs/{id}/explain`.
    #[arg(long)]
    json: bool,
    /// Number of the job.
    job: i64,
}

pub(crate) async fn execute(explain: Explain) -> Ending {
    let pool = schema::connect(&explain.database_url).await?;
    // One transaction, for poolers that give each statement another server.
    let mut tx = pool.begin().await?;
    let found = spool_explain::explain(&mut tx, explain.job, None).await?;
    let found = found.ok_or_else(|| format!("there is no job {}", explain.job))?;
    if explain.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("Job {} is {}. {}", found.job_id, found.status, found.sentence);
    if !found.status.is_final() {
        println!("{}", end(&found.estimated_end));
    }
    for task in &found.tasks {
        println!("  {}", task.sentence);
    }
    Ok(ExitCode::SUCCESS)
}

/// Such as "Ends between 10:17:20 and 10:21:40 UTC (by the last 38 runs)."
fn end(estimate: &Estimate) -> String {
    const FORMAT: &str = "%Y-%m-%d %H:%M:%S UTC";
    let basis = match estimate.basis {
        Some(Basis::History { runs }) => format!(" (by the last {runs} runs)"),
        Some(Basis::Default) => " (by built-in figures: too little has run here)".to_owned(),
        None => String::new(),
    };
    let reason = estimate.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    match (estimate.early, estimate.late) {
        (Some(early), Some(late)) => {
            format!("Ends between {} and {}{basis}.", early.format(FORMAT), late.format(FORMAT))
        }
        (Some(early), None) => {
            format!(
                "Ends no sooner than {}{basis}; when at the latest nobody knows{reason}.",
                early.format(FORMAT)
            )
        }
        _ => format!("Nobody knows when it ends{reason}."),
    }
}
