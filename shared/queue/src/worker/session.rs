//! Connections of the worker's own loops, apart from the handlers' pool: a busy handler cannot starve the heartbeat.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{PgConnection, PgPool, Postgres, Transaction, pool::PoolConnection, postgres::PgPoolOptions};

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    pool: PgPool,
    /// PgBouncer gives a server to a transaction only: parse and execute of one statement could meet different ones.
    in_transaction: bool,
}

impl Sessions {
    pub(crate) fn like(pool: &PgPool, connections: u32, pgbouncer: bool) -> Self {
        let options = pool.connect_options().as_ref().clone();
        let options = if pgbouncer { options.statement_cache_capacity(0) } else { options };
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Self { pool, in_transaction: pgbouncer }
    }

    pub(crate) const fn over(pool: PgPool, pgbouncer: bool) -> Self {
        Self { pool, in_transaction: pgbouncer }
    }

    pub(crate) const fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    pub(crate) async fn open(&self) -> Result<Session, sqlx::Error> {
        if self.in_transaction {
            return Ok(Session::Transaction(self.pool.begin().await?));
        }
        Ok(Session::Plain(self.pool.acquire().await?))
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }
}

pub(crate) enum Session {
    Plain(PoolConnection<Postgres>),
    Transaction(Transaction<'static, Postgres>),
}

impl Session {
    pub(crate) async fn done(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Transaction(transaction) => transaction.commit().await,
        }
    }

    /// After an answer that did not come: the connection is not used again.
    pub(crate) fn abandon(self) {
        if let Self::Plain(connection) = self {
            drop(connection.detach());
        }
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}
