//! Connections of the worker's own loops, apart from the handlers' pool: a busy handler cannot starve the heartbeat.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgConnection, PgPool, Postgres, Transaction, pool::PoolConnection, postgres::PgPoolOptions};
use tokio::time::error::Elapsed;

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Who ends many runs at once holds many rows. It gives way long before Postgres looks for deadlocks (1 s), so that none is
/// found: neither it nor a cancel that waits for it is broken off.
const GIVE_WAY: &str = "200ms";

#[derive(Debug)]
pub(crate) struct Sessions {
    pool: Mutex<PgPool>,
    /// PgBouncer gives a server to a transaction only: parse and execute of one statement could meet different ones.
    in_transaction: bool,
    /// Not the handlers' pool, which is somebody else's.
    is_own: bool,
}

impl Sessions {
    /// For claims and ends of runs.
    pub(crate) fn that_give_way(pool: &PgPool, connections: u32, pgbouncer: bool) -> Self {
        Self::like(pool, connections, pgbouncer, &[("lock_timeout", GIVE_WAY)])
    }

    /// For what a worker does every few seconds, always in the same way: planning it anew took longer than doing it.
    pub(crate) fn for_rounds(pool: &PgPool, connections: u32, pgbouncer: bool) -> Self {
        let settings = [("lock_timeout", "0"), ("plan_cache_mode", "force_generic_plan")];
        Self::like(pool, connections, pgbouncer, &settings)
    }

    fn like(pool: &PgPool, connections: u32, pgbouncer: bool, settings: &[(&str, &str)]) -> Self {
        let options = pool.connect_options().as_ref().clone();
        // PgBouncer takes no settings when it is connected to: there they are made in each transaction.
        let options = if pgbouncer {
            options.statement_cache_capacity(0)
        } else {
            options.options(settings.iter().copied())
        };
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Self { pool: Mutex::new(pool), in_transaction: pgbouncer, is_own: true }
    }

    pub(crate) fn over(pool: PgPool, pgbouncer: bool) -> Self {
        Self { pool: Mutex::new(pool), in_transaction: pgbouncer, is_own: false }
    }

    pub(crate) async fn open(&self) -> Result<Session, sqlx::Error> {
        let pool = self.pool();
        let opened = if self.in_transaction {
            pool.begin().await.map(Session::Transaction)
        } else {
            pool.acquire().await.map(Session::Plain)
        };
        if matches!(opened, Err(sqlx::Error::PoolTimedOut)) && self.is_own {
            // Connections that were forgotten on their way back to the pool keep their places in it.
            let fresh = pool.options().clone().connect_lazy_with(pool.connect_options().as_ref().clone());
            *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        opened
    }

    /// For a write that waits for no row longer than [`GIVE_WAY`].
    pub(crate) async fn open_to_write(&self) -> Result<Session, sqlx::Error> {
        let mut session = self.open().await?;
        if self.in_transaction {
            sqlx::query_scalar!("select set_config('lock_timeout', $1, true)", GIVE_WAY)
                .fetch_one(&mut *session)
                .await?;
        }
        Ok(session)
    }

    /// The answer of the one statement that a session was opened for, once it is certain. A connection that stood still (a
    /// line that broke without a word) is not used again.
    pub(crate) async fn close<T>(
        &self,
        session: Session,
        answer: Result<Result<T, sqlx::Error>, Elapsed>,
        limit: Duration,
    ) -> Result<T, sqlx::Error> {
        let Ok(answer) = answer else {
            self.abandon(session);
            return Err(sqlx::Error::PoolTimedOut);
        };
        let answer = answer?;
        match tokio::time::timeout(limit, session.done()).await {
            Ok(done) => done.map(|()| answer),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// After an answer that did not come: the connection is not used again, and those that are idle are as old as it.
    pub(crate) fn abandon(&self, session: Session) {
        if let Session::Plain(connection) = session {
            drop(connection.detach());
        }
        while let Some(connection) = self.pool().try_acquire() {
            drop(connection.detach());
        }
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
