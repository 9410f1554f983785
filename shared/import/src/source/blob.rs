//! Media out of a row, in pieces: SQLite's incremental reading, so that a film is never in memory.

use super::open::Source;
use bytes::Bytes;
use futures::Stream;
use rusqlite::{Connection, MAIN_DB};
use spool_media::store::BoxError;
use std::ffi::CString;
use std::io::Read;
use std::sync::PoisonError;
use tokio::sync::mpsc;

/// How much is read at once, in bytes.
const PIECE: usize = 256 * 1024;
/// How many pieces wait for the store.
const WAITING: usize = 2;

impl Source {
    /// What a column of a row holds, whatever its length. The source is busy until the stream has ended or is dropped.
    pub(crate) fn stream(
        &self,
        table: &str,
        column: &str,
        position: i64,
    ) -> impl Stream<Item = Result<Bytes, BoxError>> + use<> {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let (connection, table, column) = (self.connection(), table.to_owned(), column.to_owned());
        tokio::task::spawn_blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = copy(&connection, &table, &column, position, &sender) {
                // Nobody listens any more: there is nobody to tell.
                sender.blocking_send(Err(error)).ok();
            }
        });
        futures::stream::poll_fn(move |context| receiver.poll_recv(context))
    }
}

fn copy(
    connection: &Connection,
    table: &str,
    column: &str,
    position: i64,
    sender: &mpsc::Sender<Result<Bytes, BoxError>>,
) -> Result<(), BoxError> {
    let (table, column) = (CString::new(table)?, CString::new(column)?);
    let mut blob = connection.blob_open(MAIN_DB, table.as_c_str(), column.as_c_str(), position, true)?;
    loop {
        let mut piece = vec![0; PIECE];
        let read = blob.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        piece.truncate(read);
        if sender.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
}
