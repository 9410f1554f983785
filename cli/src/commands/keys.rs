//! `spool keys`: who may call the API.

use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};
use spool_db::clients;
use spool_db::keys::{self, NewKey, Scope};
use uuid::Uuid;

use super::Ending;
use crate::stack::schema;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print it. It is shown this once: the database keeps a hash.
    Create(Create),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Postgres: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: SecretString,
    /// For people: who or what uses the key.
    #[arg(long)]
    name: String,
    /// What it may do: read, write, admin. Each holds the ones before it.
    #[arg(long, value_delimiter = ',', required = true)]
    scopes: Vec<Scope>,
    /// The only client that it may see.
    #[arg(long, value_name = "UUID")]
    client: Option<Uuid>,
    /// Requests a minute that each API process takes of it; what its settings say when left out.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    requests_per_minute: Option<i32>,
}

pub(crate) async fn execute(keys: Keys) -> Ending {
    match keys {
        Keys::Create(create) => execute_create(create).await,
    }
}

async fn execute_create(create: Create) -> Ending {
    let pool = schema::connect(&create.database_url).await?;
    let token = schema::mint();
    if create.client.is_some() && create.scopes.contains(&Scope::Admin) {
        return Err("a key of one client cannot have the scope admin".into());
    }
    let new = NewKey {
        name: &create.name,
        scopes: &create.scopes,
        client_id: create.client,
        expires_at: None,
        requests_per_minute: create.requests_per_minute,
        created_by: None,
    };
    let mut connection = pool.acquire().await?;
    if let Some(client) = create.client
        && clients::find(&mut connection, client, None).await?.is_none()
    {
        return Err(format!("there is no client {client}").into());
    }
    keys::insert(&mut connection, &token, &new).await?;
    println!("{}", token.reveal().expose_secret());
    Ok(ExitCode::SUCCESS)
}
