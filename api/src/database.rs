//! How handlers reach Postgres: `begin` to change, `read` to look, `one_statement` to change by one. SQL itself is in `spool_db` and `spool_queue`.
//!
//! To get a connection takes a future of 4 kB. It is on the heap, or every request would hold as much, whether it asks for one or not.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use spool_queue::Bell;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::audit;
use crate::error::ApiError;
use crate::idempotency::KeyedRequest;
use crate::metrics;

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

    /// Whether a pooler in transaction mode stands before the database.
    pub fn is_pooled(&self) -> bool {
        self.pooler
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Tells the workers what was committed; for a request with an `Idempotency-Key`, once it is.
    pub async fn ring(&self, bell: Bell) {
        match KeyedRequest::current() {
            Some(request) => request.ring(bell).await,
            None => bell.ring(&self.pool).await,
        }
    }

    /// Starts a transaction; dropping it undoes everything. For a request with an `Idempotency-Key` it enters that key, and fails
    /// when the request was carried out before.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, ApiError> {
        if let Some(request) = KeyedRequest::current() {
            return Box::pin(request.begin(&self.pool)).await;
        }
        let begin = Instant::now();
        let transaction = Box::pin(self.pool.begin()).await.map_err(unavailable)?;
        metrics::waited_for_connection(begin);
        Ok(transaction)
    }

    /// Fails when the request was carried out before, or is just now: for one that is to be refused without having begun.
    pub async fn not_answered_before(&self) -> Result<(), ApiError> {
        match KeyedRequest::current() {
            Some(request) => roll_back(Box::pin(request.begin(&self.pool)).await?).await,
            None => Ok(()),
        }
    }

    pub async fn read(&self) -> Result<Reading, ApiError> {
        if let Some(request) = KeyedRequest::current() {
            request.settle().await?;
        }
        self.one_statement().await.map_err(unavailable)
    }

    /// For one statement that is a transaction of its own, whoever waits for it.
    pub async fn one_statement(&self) -> Result<Reading, sqlx::Error> {
        let begin = Instant::now();
        let reading = if self.pooler {
            Box::pin(self.pool.begin()).await.map(Reading::InTransaction)?
        } else {
            Box::pin(self.pool.acquire()).await.map(Reading::Plain)?
        };
        metrics::waited_for_connection(begin);
        Ok(reading)
    }
}

/// Commits, with the refusal a caller can understand when that fails. The first commit of a request that may change something notes
/// who did it, in the same transaction. For a request with an `Idempotency-Key` it commits together with the answer (see
/// [`crate::idempotency`]).
pub async fn commit(mut transaction: Transaction<'static, Postgres>) -> Result<(), ApiError> {
    let change = audit::take();
    if let Some(request) = KeyedRequest::current() {
        return request.keep(transaction, change).await;
    }
    if let Some(change) = change {
        spool_db::audit::append(&mut transaction, &change).await?;
    }
    transaction.commit().await.map_err(unavailable)
}

/// Undoes everything, now: who drops a transaction and begins the next one may meet its own `Idempotency-Key`.
pub async fn roll_back(transaction: Transaction<'static, Postgres>) -> Result<(), ApiError> {
    transaction.rollback().await.map_err(unavailable)
}

fn unavailable(error: sqlx::Error) -> ApiError {
    ApiError::unavailable("the database", error)
}

/// A connection to look things up with, or to change something by one statement.
pub enum Reading {
    Plain(PoolConnection<Postgres>),
    InTransaction(Transaction<'static, Postgres>),
}

impl Reading {
    /// After a statement that has changed something.
    pub async fn done(self) -> Result<(), ApiError> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::InTransaction(transaction) => transaction.commit().await.map_err(unavailable),
        }
    }

    /// When it has not answered in time: nobody else is to wait for it.
    pub fn give_up(self) {
        if let Self::Plain(connection) = self {
            drop(connection.detach());
        }
    }
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
