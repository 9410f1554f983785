//! What can go wrong with our own tables.

/// A database operation that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Postgres or the connection to it said no.
    #[error("could not {operation}")]
    Query {
        /// What was tried, as a verb phrase.
        operation: &'static str,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// A row was not in the state the change starts from: somebody else was here first.
    #[error("could not {operation}: {what} has moved on")]
    Moved {
        /// What was tried.
        operation: &'static str,
        /// The row.
        what: String,
    },
    /// A row holds something this program does not understand: it is older than the data.
    #[error("could not {operation}: {what}")]
    Unreadable {
        /// What was tried.
        operation: &'static str,
        /// The value.
        what: String,
    },
    /// The schema could not be brought up to date.
    #[error("could not migrate the database")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl DbError {
    /// The database refused because of this constraint or unique index.
    pub fn is_constraint(&self, name: &str) -> bool {
        matches!(self, Self::Query { source: sqlx::Error::Database(error), .. } if error.constraint() == Some(name))
    }

    /// Postgres refused the statement and lives: nothing of it was done. Of a statement that met its end with the connection nobody knows.
    pub fn is_refused(&self) -> bool {
        let Self::Query { source: sqlx::Error::Database(error), .. } = self else { return false };
        error.code().is_some_and(|code| !code.starts_with("08") && !code.starts_with("57P"))
    }

    /// The connection failed or somebody held a row for too long, not the statement: the same call may work later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Query { source, .. } => match source {
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::Tls(_) => true,
                // Class 08 is connection trouble, 57P a server going down or coming up, 55P03 the end of a lock_timeout.
                sqlx::Error::Database(error) => error
                    .code()
                    .is_some_and(|code| code.starts_with("08") || code.starts_with("57P") || code == "55P03"),
                _ => false,
            },
            _ => false,
        }
    }
}

/// Names the operation that an sqlx error belongs to.
pub(crate) trait Doing<T> {
    fn doing(self, operation: &'static str) -> Result<T, DbError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, operation: &'static str) -> Result<T, DbError> {
        self.map_err(|source| DbError::Query { operation, source })
    }
}
