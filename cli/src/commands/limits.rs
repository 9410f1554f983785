//! `spool limits`: what may be asked of a provider by all workers together.

use std::process::ExitCode;

use secrecy::SecretString;
use spool_db::limits::WHOLE_ACCOUNT;
use spool_db::limits::standing::{self, Class, Standing, is_model};
use spool_db::limits::weights::{self, Weight};
use uuid::Uuid;

use super::Ending;
use crate::stack::schema;

#[derive(Debug, clap::Args)]
pub(crate) struct Limits {
    /// Postgres: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<SecretString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show all limits, what is in flight and what waits, and the clients that weigh more or less than the others.
    List,
    /// Set a limit in the place of the workers' settings. It binds all workers at once.
    Set {
        #[command(flatten)]
        which: Which,
        /// Calls a minute.
        #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
        per_minute: Option<i32>,
        /// Predictions in flight.
        #[arg(long, required_unless_present = "per_minute", value_parser = clap::value_parser!(i32).range(0..))]
        max_in_flight: Option<i32>,
    },
    /// Go back to the workers' settings, and end pauses and cuts that troubles brought.
    Reset(Which),
    /// Give a client more or less than the others of what is scarce; 1 is usual.
    Weight {
        /// The client's id.
        client: Uuid,
        /// From 0.01 to 100.
        weight: f64,
        #[arg(long, default_value = "replicate")]
        provider: String,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// A model, such as google/veo-3.1-fast; * is the whole account.
    #[arg(default_value = WHOLE_ACCOUNT, value_parser = read_model)]
    model: String,
    #[arg(long, default_value = "replicate")]
    provider: String,
    /// Reads, lists and cancels in the place of paid calls.
    #[arg(long)]
    reads: bool,
}

impl Which {
    fn class(&self) -> Class {
        if self.reads { Class::Other } else { Class::Create }
    }
}

/// A model by its slug, or the whole account.
pub(super) fn read_model(text: &str) -> Result<String, String> {
    if is_model(text) { Ok(text.to_owned()) } else { Err("give owner/name, or * for all".to_owned()) }
}

pub(crate) async fn execute(limits: Limits) -> Ending {
    let database_url =
        limits.database_url.ok_or("DATABASE_URL is not set: postgres://user:password@host/database")?;
    let pool = schema::connect(&database_url).await?;
    let mut tx = pool.begin().await?;
    match limits.command {
        Command::List => {}
        Command::Set { which, per_minute, max_in_flight } => {
            if which.reads && (max_in_flight.is_some() || which.model != WHOLE_ACCOUNT) {
                return Err("reads have a rate of the whole account only".into());
            }
            let class = which.class();
            standing::set(&mut tx, &which.provider, class, &which.model, per_minute, max_in_flight).await?;
        }
        Command::Reset(which) => {
            if !standing::reset(&mut tx, &which.provider, which.class(), &which.model).await? {
                return Err("there is no such limit; `spool limits list` shows all".into());
            }
        }
        Command::Weight { client, weight, provider } => {
            if !weights::is_weight(weight) {
                return Err("a weight is at least 0.01 and at most 100".into());
            }
            if weights::set(&mut tx, &provider, client, weight).await?.is_none() {
                return Err(format!("there is no client {client}; GET /api/v3/clients shows all").into());
            }
        }
    }
    for limit in standing::list(&mut tx).await? {
        println!("{}", line(&limit));
    }
    for weight in weights::list(&mut tx).await? {
        println!("{}", weighed(&weight));
    }
    tx.commit().await?;
    Ok(ExitCode::SUCCESS)
}

fn line(limit: &Standing) -> String {
    let mut parts = Vec::new();
    if let Some(rate) = limit.per_minute_now {
        parts.push(format!("{rate} a minute"));
    }
    if limit.class == Class::Create {
        let most = limit.max_in_flight_now.map_or_else(|| "any number".to_owned(), |most| most.to_string());
        parts.push(format!("{} of {most} in flight", limit.in_flight));
        parts.push(format!("{} waiting", limit.waiting));
    }
    if let (Some(until), Some(why)) = (limit.paused_until, &limit.pause_reason) {
        parts.push(format!("PAUSED until {until}: {why}"));
    }
    parts.push(if limit.set_by_operator { "set by an operator" } else { "by the settings" }.to_owned());
    format!("{} {} {}: {}", limit.provider, limit.class.as_str(), limit.model, parts.join(", "))
}

fn weighed(weight: &Weight) -> String {
    let Weight { provider, client, name, weight, waiting } = weight;
    format!("{provider} client {client} ({name}): weight {weight}, {waiting} waiting")
}
