//! The rows of stored media, a part at a time, to be compared with the store.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Digest and length of all media whose digests begin with these two digits: one 256th of them.
pub async fn rows_below(conn: &mut PgConnection, prefix: &str) -> Result<Vec<(String, i64)>, DbError> {
    // `g` comes after every hexadecimal digit, in any collation.
    let rows =
        sqlx::query!(r#"SELECT digest, bytes FROM media WHERE digest >= $1 AND digest < $1 || 'g'"#, prefix)
            .fetch_all(conn)
            .await
            .doing("list a part of the media")?;
    Ok(rows.into_iter().map(|row| (row.digest, row.bytes)).collect())
}
