//! The database of a stack: both schemas up to date, and one API key that its owner finds in the data folder.

use std::time::Duration;

use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use spool_db::error::DbError;
use spool_db::keys::{self, ENTROPY_BYTES, KeyToken, NewKey, Scope};
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};

use crate::supervisor::data_folder::{DataFolder, FolderError};

/// File of the data folder that holds the development key.
const KEY_FILE: &str = "dev.key";

/// The database cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error("cannot connect to the database: is DATABASE_URL right, and does Postgres run?")]
    Connect(#[source] sqlx::Error),
    #[error("cannot migrate the schema `public`")]
    Ours(#[source] DbError),
    #[error("cannot migrate the schema `queue`")]
    Queue(#[source] MigrateError),
    #[error("cannot store the API key")]
    Key(#[source] DbError),
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// A small pool for chores; the first connection is made now.
pub(crate) async fn connect(database_url: &SecretString) -> Result<PgPool, SchemaError> {
    // By itself, because a pool hides why a connection failed behind "timed out".
    PgConnection::connect(database_url.expose_secret()).await.map_err(SchemaError::Connect)?;
    PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(10))
        .connect(database_url.expose_secret())
        .await
        .map_err(SchemaError::Connect)
}

/// Brings both schemas up to date. Safe to run from many machines at once.
pub(crate) async fn migrate(pool: &PgPool) -> Result<(), SchemaError> {
    spool_db::schema::migrate(pool).await.map_err(SchemaError::Ours)?;
    spool_queue::migrate(pool).await.map_err(SchemaError::Queue)
}

/// The development key of this folder: the stored one, put back into the database should it be missing there.
pub(crate) async fn dev_key(pool: &PgPool, folder: &DataFolder) -> Result<SecretString, SchemaError> {
    let mut connection = pool.acquire().await.map_err(SchemaError::Connect)?;
    let stored = folder.stored_secret(KEY_FILE)?;
    let token = stored.and_then(|text| KeyToken::parse(text.expose_secret())).unwrap_or_else(mint);
    let key = token.reveal();
    if keys::authenticate(&mut connection, &token).await.map_err(SchemaError::Key)?.is_none() {
        let new = NewKey {
            name: "spool dev",
            scopes: Scope::ALL,
            client_id: None,
            expires_at: None,
            requests_per_minute: None,
            created_by: None,
        };
        keys::insert(&mut connection, &token, &new).await.map_err(SchemaError::Key)?;
        folder.store_secret(KEY_FILE, key.expose_secret())?;
    }
    Ok(key)
}

/// A new key that nobody knows yet.
pub(crate) fn mint() -> KeyToken {
    let entropy: [u8; ENTROPY_BYTES] = rand::rng().random();
    KeyToken::mint(entropy)
}
