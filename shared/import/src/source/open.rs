//! Opening a file that may be anything. It is never written to, and read in one snapshot from the first row to the last.

use super::system::System;
use super::table::{self, Table};
use crate::error::ImportError;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// An older system's database.
pub struct Source {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
    tables: Vec<Table>,
}

impl Source {
    /// Opens the file, reads all of it once in search of damage, and looks at its tables.
    ///
    /// # Errors
    /// It is missing, no SQLite file, damaged, or a database of another program than `system`.
    pub async fn open(path: &Path, system: System) -> Result<Self, ImportError> {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || {
            check_magic(&path)?;
            let connection = connect(&path)?;
            check_pages(&path, &connection)?;
            let tables =
                table::all(&connection).map_err(|error| damaged(&path, error, "look at the tables of"))?;
            system.check(&path, &tables)?;
            Ok(Self { path, connection: Arc::new(Mutex::new(connection)), tables })
        })
        .await?
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    pub(crate) fn connection(&self) -> Arc<Mutex<Connection>> {
        self.connection.clone()
    }

    /// Runs `read` where blocking does no harm.
    pub(crate) async fn with<T, F>(&self, doing: &'static str, read: F) -> Result<T, ImportError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let connection = self.connection();
        tokio::task::spawn_blocking(move || {
            // A reader that panicked has changed nothing.
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            read(&connection)
        })
        .await?
        .map_err(ImportError::read(doing))
    }
}

fn check_magic(path: &Path) -> Result<(), ImportError> {
    let open = |source| ImportError::Open { path: path.to_owned(), source };
    let mut head = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut head)).map_err(open)?;
    let why = match head.as_slice() {
        magic if magic == MAGIC => return Ok(()),
        [] => "it is empty".to_owned(),
        // What people have at hand instead: a dump or a compressed copy.
        [0x1f, 0x8b, ..] => "it is compressed with gzip; unpack it first".to_owned(),
        [b'P', b'K', ..] => "it is a ZIP archive; unpack it first".to_owned(),
        text if text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "it is text; a dump becomes a database with `sqlite3 NEW.db < DUMP.sql`".to_owned()
        }
        _ => "its first bytes are not SQLite's; an encrypted database must be decrypted first".to_owned(),
    };
    Err(ImportError::NotSqlite { path: path.to_owned(), why })
}

fn connect(path: &Path) -> Result<Connection, ImportError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let prepared = Connection::open_with_flags(path, flags).and_then(|connection| {
        prepare(&connection)?;
        Ok(connection)
    });
    match prepared {
        // A database in WAL mode in a folder that cannot be written to. Without a log beside it, it is complete as it is.
        Err(error)
            if error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
                || error.sqlite_error_code() == Some(ErrorCode::ReadOnly) =>
        {
            let has_log = std::fs::metadata(with_suffix(path, "-wal")).is_ok_and(|meta| meta.len() > 0);
            let uri = path.canonicalize().ok().and_then(|path| url::Url::from_file_path(path).ok());
            match uri {
                Some(uri) if !has_log => {
                    let connection = Connection::open_with_flags(format!("{uri}?immutable=1"), flags);
                    let connection = connection.map_err(|error| damaged(path, error, "open"))?;
                    prepare(&connection).map_err(|error| damaged(path, error, "open"))?;
                    Ok(connection)
                }
                _ => Err(ImportError::Read {
                    doing: "open the log (-wal) beside, in a folder that must be writable, of",
                    source: error,
                }),
            }
        }
        prepared => prepared.map_err(|error| damaged(path, error, "open")),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A foreign file's schema is not trusted, and everything is read in one snapshot.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA query_only = ON; BEGIN",
    )?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Also finds files that were cut off.
fn check_pages(path: &Path, connection: &Connection) -> Result<(), ImportError> {
    let failed = |error| damaged(path, error, "check");
    let mut check = connection.prepare("PRAGMA quick_check(1000)").map_err(failed)?;
    let said = check.query_map([], |row| row.get::<_, String>(0)).map_err(failed)?;
    for message in said {
        let message = message.map_err(failed)?;
        // Rows that break their own table's constraints are legible: the older programs wrote some.
        if message != "ok" && !message.contains("CHECK constraint") && !message.contains("NULL value") {
            return Err(ImportError::Damaged { path: path.to_owned(), why: message });
        }
    }
    Ok(())
}

fn damaged(path: &Path, error: rusqlite::Error, doing: &'static str) -> ImportError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            ImportError::Damaged { path: path.to_owned(), why: error.to_string() }
        }
        _ => ImportError::Read { doing, source: error },
    }
}
