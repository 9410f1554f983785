//! How handlers reach Postgres: `begin` to change, `read` to look. SQL itself is in `spool_db` and `spool_queue`.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::audit;
use crate::error::ApiError;

#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    /// A pooler in transaction mode hands each statement to any server: then reads need a transaction too.
    pooler: bool,
}

impl Database {
    pub fn new(pool: PgPool, pooler: bool) -> Self {
        Self { pool, pooler }
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Starts a transaction; dropping it undoes everything.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, ApiError> {
        self.pool.begin().await.map_err(unavailable)
    }

    pub async fn read(&self) -> Result<Reading, ApiError> {
        if self.pooler {
            return self.begin().await.map(Reading::InTransaction);
        }
        self.pool.acquire().await.map(Reading::Plain).map_err(unavailable)
    }
}

/// Commits, with the refusal a caller can understand when that fails. The first commit of a request that may change something notes
/// who did it, in the same transaction.
pub async fn commit(mut transaction: Transaction<'static, Postgres>) -> Result<(), ApiError> {
    if let Some(change) = audit::take() {
        spool_db::audit::append(&mut transaction, &change).await?;
    }
    transaction.commit().await.map_err(unavailable)
}

fn unavailable(error: sqlx::Error) -> ApiError {
    ApiError::unavailable("the database", error)
}

/// A connection to look things up with.
pub enum Reading {
    Plain(PoolConnection<Postgres>),
    InTransaction(Transaction<'static, Postgres>),
}

impl Deref for Reading {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::InTransaction(transaction) => transaction,
        }
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::InTransaction(transaction) => transaction,
        }
    }
}
