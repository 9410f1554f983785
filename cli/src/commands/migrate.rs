//! `spool migrate`: both schemas of a database, up to date.

use std::process::ExitCode;

use secrecy::SecretString;

use super::Ending;
use crate::stack::schema;

#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// Postgres 15 to 18, reached directly and not through a PgBouncer: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: SecretString,
}

pub(crate) async fn execute(migrate: Migrate) -> Ending {
    let pool = schema::connect(&migrate.database_url).await?;
    schema::migrate(&pool).await?;
    pool.close().await;
    println!("schemas `public` and `queue` are up to date");
    Ok(ExitCode::SUCCESS)
}
