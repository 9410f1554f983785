//! Why an import stopped. What was committed until then stays, and the same command goes on from there.

use spool_db::error::DbError;
use spool_media::store::StoreError;
use std::path::PathBuf;

/// An import that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read at all.
    #[error("cannot open {}", path.display())]
    Open {
        /// As given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{} is no SQLite database: {why}", path.display())]
    NotSqlite {
        /// As given.
        path: PathBuf,
        /// What its first bytes are.
        why: String,
    },
    /// It was a SQLite database once.
    #[error("{} is damaged: {why}; nothing was imported. Try `sqlite3 FILE .recover` on a copy, or an older backup", path.display())]
    Damaged {
        /// As given.
        path: PathBuf,
        /// What SQLite found.
        why: String,
    },
    /// A database of another program.
    #[error("{} is no database of {expected}: {why}", path.display())]
    Foreign {
        /// As given.
        path: PathBuf,
        /// The system that was named.
        expected: &'static str,
        /// What it looks like.
        why: String,
    },
    /// SQLite failed half way.
    #[error("could not {doing} the older database")]
    Read {
        /// A verb.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The thread that reads SQLite died.
    #[error("the reader of the older database stopped")]
    Reader(#[from] tokio::task::JoinError),
    /// Media could not be stored.
    #[error("could not keep the media in {place}")]
    Media {
        /// Table, row and column.
        place: String,
        /// What the store said.
        source: Box<StoreError>,
    },
    /// Our database said no.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The same, around the transactions.
    #[error("could not {doing} the transaction of a batch")]
    Transaction {
        /// A verb.
        doing: &'static str,
        /// Why not.
        source: sqlx::Error,
    },
    /// Job numbers cannot be kept.
    #[error(
        "{count} job numbers are taken by jobs that did not come from {origin} (the first: {first:?}): import into a database without \
         them, or give those jobs new numbers with --renumber-jobs"
    )]
    NumbersTaken {
        /// The name of the source.
        origin: String,
        /// How many of a first thousand.
        count: usize,
        /// Some of them.
        first: Vec<i64>,
    },
}

impl ImportError {
    pub(crate) fn read(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Read { doing, source }
    }
}
