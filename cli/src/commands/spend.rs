//! `spool spend`: what was spent, on what, and what it was good for.

use std::process::ExitCode;

use chrono::NaiveDate;
use secrecy::SecretString;
use spool_db::spend::{self, By, Line};
use spool_db::waste;
use spool_job::money::Micros;

use super::Ending;
use crate::stack::schema;

#[derive(Debug, clap::Args)]
pub(crate) struct Spend {
    /// Postgres: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<SecretString>,
    /// What a row stands for; class: what the money was good for.
    #[arg(long, value_enum, default_value = "day")]
    by: ByWord,
    /// First day, such as 2026-11-01; 29 days before the last by default.
    #[arg(long)]
    from: Option<NaiveDate>,
    /// Last day, whole; today by default.
    #[arg(long)]
    to: Option<NaiveDate>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ByWord {
    Day,
    Client,
    Campaign,
    Model,
    Class,
}

pub(crate) async fn execute(spend: Spend) -> Ending {
    let database_url =
        spend.database_url.ok_or("DATABASE_URL is not set: postgres://user:password@host/database")?;
    let pool = schema::connect(&database_url).await?;
    let mut conn = pool.begin().await?;
    let span = spend::span(&mut conn, spend.from, spend.to).await?;
    if span.from > span.to {
        return Err("--from must not be after --to".into());
    }
    println!("from {} to {}, days of {}", span.from, span.to, span.zone);
    let by = match spend.by {
        ByWord::Day => By::Day,
        ByWord::Client => By::Client,
        ByWord::Campaign => By::Campaign,
        ByWord::Model => By::Model,
        ByWord::Class => {
            for class in waste::of_span(&mut conn, &span).await? {
                let beside = beside(class.beside_ledger);
                println!("{}: {} in {} purchases{beside}", class.class, class.settled, class.purchases);
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    let lines = spend::report(&mut conn, by, &span).await?;
    for line in &lines {
        println!("{}", told(line));
    }
    let sum = |of: fn(&Line) -> Micros| lines.iter().map(of).sum::<Micros>();
    let more = beside(sum(|line| line.beside_ledger));
    println!("in all: {} spent, {} held{more}", sum(|line| line.settled), sum(|line| line.reserved));
    Ok(ExitCode::SUCCESS)
}

fn told(line: &Line) -> String {
    let key = line.key.as_deref().unwrap_or("none");
    let name = line.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    let more = beside(line.beside_ledger);
    format!(
        "{key}{name}: {} spent in {} purchases, {} held{more}",
        line.settled, line.purchases, line.reserved
    )
}

/// What orphans cost, where they cost anything.
fn beside(cost: Micros) -> String {
    if cost == Micros::ZERO { String::new() } else { format!(", {cost} beside the ledger") }
}
