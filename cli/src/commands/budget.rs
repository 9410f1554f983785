//! `spool budget`: what may be spent, and the emergency stop.

use std::process::ExitCode;

use secrecy::SecretString;
use spool_db::budgets::{self, Change, NO_REASON, Period, Scope, Standing};
use spool_job::money::{Micros, NoAmount};
use spool_queue::{Bell, TaskId, control};
use sqlx::PgConnection;

use super::Ending;
use crate::stack::schema;

#[derive(Debug, clap::Args)]
pub(crate) struct Budgets {
    /// Postgres: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<SecretString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show all budgets and what their present period has seen.
    List,
    /// Set a budget; what is not given stays. It binds the present period at once; what waits for money goes on in fair order.
    Set(Set),
    /// Remove a budget: nothing limits its scope for that period any more.
    Remove(Which),
    /// Stop all new spending. What is bought already goes on; everything else waits, nothing fails.
    Stop {
        /// For whoever finds it stopped.
        #[arg(default_value = NO_REASON)]
        why: String,
    },
    /// Lift the stop.
    Resume,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Whose: all, client:ID, campaign:ID or job:ID.
    #[arg(default_value = "all", value_parser = read_scope)]
    scope: Scope,
    /// For how long it has to last.
    #[arg(long, value_enum, default_value = "day")]
    period: PeriodWord,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    which: Which,
    /// Dollars, or none; above this an alert is raised.
    #[arg(long)]
    soft: Option<Limit>,
    /// Dollars, or none; above this nothing is bought.
    #[arg(long, required_unless_present_any = ["soft", "zone"])]
    hard: Option<Limit>,
    /// IANA name of the zone whose days and months count, such as Europe/Berlin; of a new budget UTC when left out.
    #[arg(long)]
    zone: Option<String>,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<Micros>);

impl std::str::FromStr for Limit {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PeriodWord {
    Day,
    Month,
    Total,
}

impl From<PeriodWord> for Period {
    fn from(word: PeriodWord) -> Self {
        match word {
            PeriodWord::Day => Self::Day,
            PeriodWord::Month => Self::Month,
            PeriodWord::Total => Self::Total,
        }
    }
}

fn read_scope(text: &str) -> Result<Scope, String> {
    let (word, key) = text.split_once(':').unwrap_or((text, ""));
    Scope::parse(word, key).ok_or_else(|| "give all, client:ID, campaign:ID or job:ID".to_owned())
}

pub(crate) async fn execute(budgets: Budgets) -> Ending {
    let database_url =
        budgets.database_url.ok_or("DATABASE_URL is not set: postgres://user:password@host/database")?;
    let pool = schema::connect(&database_url).await?;
    let mut tx = pool.begin().await?;
    let bell = match budgets.command {
        Command::List => {
            show(&mut tx).await?;
            Bell::silent()
        }
        Command::Set(set) => {
            if let Some(zone) = &set.zone
                && !budgets::knows_zone(&mut tx, zone).await?
            {
                return Err(format!("{zone} is not the name of a time zone, such as Europe/Berlin").into());
            }
            let Which { scope, period } = set.which;
            let period = period.into();
            let given = |limit: Option<Limit>| limit.map(|Limit(limit)| limit);
            let change = Change { zone: set.zone, soft: given(set.soft), hard: given(set.hard) };
            budgets::lock(&mut tx).await?;
            let before = budgets::show(&mut tx, &scope, period).await?.map(|standing| standing.budget);
            let budget = change.of(scope, period, before)?;
            budgets::set(&mut tx, &budget).await?;
            show(&mut tx).await?;
            wake_all(&mut tx).await?
        }
        Command::Remove(Which { scope, period }) => {
            if !budgets::remove(&mut tx, &scope, period.into()).await? {
                return Err("there is no such budget; `spool budget list` shows all".into());
            }
            wake_all(&mut tx).await?
        }
        Command::Stop { why } => {
            budgets::stop(&mut tx, &why, &user()).await?;
            println!("all new spending is stopped; `spool budget resume` lifts it");
            Bell::silent()
        }
        Command::Resume => {
            if !budgets::go_on(&mut tx).await? {
                return Err("spending is not stopped".into());
            }
            wake_all(&mut tx).await?
        }
    };
    tx.commit().await?;
    bell.ring_now(&pool).await?;
    Ok(ExitCode::SUCCESS)
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "a shell".to_owned())
}

/// There may be money now: it is offered to those who wait for some, in fair order.
async fn wake_all(conn: &mut PgConnection) -> Result<Bell, Box<dyn std::error::Error + Send + Sync>> {
    let mut bell = Bell::silent();
    for task in budgets::offer(conn).await? {
        bell.merge(control::wake(conn, TaskId(task)).await?.bell);
    }
    Ok(bell)
}

async fn show(conn: &mut PgConnection) -> Result<(), spool_db::error::DbError> {
    for Standing { budget, reserved, settled, turns_at, .. } in budgets::list(conn).await? {
        let key = budget.scope.key();
        let whose = if key.is_empty() { "all".to_owned() } else { format!("{}:{key}", budget.scope.word()) };
        let limit =
            |limit: Option<Micros>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        let turns = turns_at.map(|at| format!(", turns at {at}")).unwrap_or_default();
        println!(
            "{whose} per {}: {settled} spent, {reserved} held; soft limit {}, hard limit {}{turns}",
            budget.period.as_str(),
            limit(budget.soft),
            limit(budget.hard)
        );
    }
    if let Some(stop) = budgets::stopped(conn).await? {
        println!("ALL SPENDING IS STOPPED since {} by {}: {}", stop.at, stop.by, stop.why);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn read(words: &[&str]) -> Result<Command, clap::Error> {
        Line::try_parse_from(["budget"].iter().chain(words)).map(|line| line.command)
    }

    #[test]
    fn a_stop_needs_no_reason() {
        let Command::Stop { why } = read(&["stop"]).unwrap() else { panic!("no stop") };
        assert_eq!(why, NO_REASON);
        let Command::Stop { why } = read(&["stop", "prices look wrong"]).unwrap() else { panic!("no stop") };
        assert_eq!(why, "prices look wrong");
    }

    #[test]
    fn only_what_is_given_is_set() {
        let Command::Set(set) = read(&["set", "--hard", "200"]).unwrap() else { panic!("no set") };
        assert_eq!(set.hard, Some(Limit(Some(Micros(200_000_000)))));
        assert_eq!((set.soft, set.zone), (None, None));
        let Command::Set(set) = read(&["set", "--soft", "none"]).unwrap() else { panic!("no set") };
        assert_eq!((set.soft, set.hard), (Some(Limit(None)), None));
        assert!(read(&["set"]).is_err(), "nothing to set");
    }
}
