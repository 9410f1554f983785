//! `spool breaker`: what is left alone because it fails, and by an operator's hand.

use std::process::ExitCode;

use secrecy::SecretString;
use spool_db::limits::{self, WHOLE_ACCOUNT, breaker};

use super::Ending;
use super::limits::read_model;
use crate::stack::schema;

#[derive(Debug, clap::Args)]
pub(crate) struct Breakers {
    /// Postgres: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<SecretString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the breakers that are not closed.
    List,
    /// Hold a provider or a model back. What is bought already goes on; everything else waits, nothing fails.
    Open {
        /// For whoever finds it open.
        why: String,
        #[command(flatten)]
        which: Which,
    },
    /// Close a breaker at once, whoever opened it.
    Close(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// A model, such as google/veo-3.1-fast; * is the provider as such.
    #[arg(default_value = WHOLE_ACCOUNT, value_parser = read_model)]
    model: String,
    #[arg(long, default_value = "replicate")]
    provider: String,
}

pub(crate) async fn execute(breakers: Breakers) -> Ending {
    let database_url =
        breakers.database_url.ok_or("DATABASE_URL is not set: postgres://user:password@host/database")?;
    let pool = schema::connect(&database_url).await?;
    let mut tx = pool.begin().await?;
    match breakers.command {
        Command::List => {}
        Command::Open { why, which } => {
            breaker::hold_open(&mut tx, &which.provider, &which.model, &why).await?;
        }
        Command::Close(which) => {
            if !breaker::close(&mut tx, &which.provider, &which.model).await? {
                return Err("that breaker is not open; `spool breaker list` shows those that are".into());
            }
        }
    }
    let now = limits::now(&mut tx).await?;
    let open = breaker::open(&mut tx, None).await?;
    tx.commit().await?;
    if open.is_empty() {
        println!("all breakers are closed");
    }
    for one in open {
        let (state, by) = (one.state(now), one.by.word());
        println!("{} {}: {state} since {} by {by}: {}", one.provider, one.model, one.since, one.why);
    }
    Ok(ExitCode::SUCCESS)
}
