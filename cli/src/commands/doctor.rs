//! `spool doctor`: looks at a running installation and says what to do.

use std::process::ExitCode;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use spool_media::inventory::Inventory;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use url::Url;

use super::Ending;
use crate::doctor::{self, Report, Scope, Severity};

/// The database cannot be reached, or something could not be looked at.
const BLIND: u8 = 2;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Postgres: postgres://user:password@host/database. It is only read.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: SecretString,
    /// Look at an API process, too: its address, such as http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    api: Option<Url>,
    /// Compare the store of media with the rows, too. Lists the whole store, which can take long.
    #[arg(long)]
    media: bool,
    /// Where media lie: a folder, file:///path or s3://bucket/prefix.
    #[arg(long, env = "SPOOL_MEDIA_URL", value_name = "LOCATION")]
    media_url: Option<String>,
    /// Leave out purchases that are over, which takes a second for each hundred thousand of them.
    #[arg(long)]
    quick: bool,
    /// Seconds after which an open transaction is told; six times as long is an error.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    long_transaction: u32,
    /// Warnings count as errors in the exit code.
    #[arg(long)]
    strict: bool,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// Ends with 0 when nothing is wrong, 1 when something is, 2 when it cannot look.
pub(crate) async fn execute(doctor: Doctor) -> Ending {
    match look(&doctor).await {
        Ok(report) => {
            show(&report, &doctor)?;
            Ok(ExitCode::from(report.exit_code(doctor.strict)))
        }
        Err(trouble) => {
            eprintln!("error: {}", crate::told(&*trouble));
            Ok(ExitCode::from(BLIND))
        }
    }
}

async fn look(doctor: &Doctor) -> Result<Report, doctor::Trouble> {
    let inventory = match (&doctor.media_url, doctor.media) {
        (Some(location), true) => Some(Inventory::open(location)?),
        (None, true) => return Err("--media needs SPOOL_MEDIA_URL or --media-url".into()),
        (_, false) => None,
    };
    let options: PgConnectOptions = doctor.database_url.expose_secret().parse()?;
    // Works behind a pooler, too: nothing is prepared for longer than a transaction.
    let options =
        options.application_name("spool-doctor").statement_cache_capacity(0).extra_float_digits(None);
    // By itself, because a pool hides why a connection failed behind "timed out".
    PgConnection::connect_with(&options).await?.close().await?;
    let pool =
        PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(options).await?;
    let scope = Scope {
        api: doctor.api.as_ref(),
        media: inventory.as_ref(),
        quick: doctor.quick,
        long_transaction: doctor.long_transaction,
    };
    let report = doctor::look(&pool, &scope).await;
    pool.close().await;
    Ok(report)
}

fn show(report: &Report, doctor: &Doctor) -> Result<(), serde_json::Error> {
    if doctor.json {
        println!("{}", serde_json::to_string_pretty(&report.json(doctor.strict))?);
        return Ok(());
    }
    for (check, finding) in report.findings() {
        println!("{:<8} {check:<12} {}", finding.severity.as_str(), finding.what);
        if let Some(todo) = &finding.todo {
            println!("{:21} do: {todo}", "");
        }
    }
    let count = |severity| report.count(severity);
    println!(
        "\n{} errors, {} warnings, {} notes, {} well",
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Note),
        count(Severity::Ok)
    );
    Ok(())
}
