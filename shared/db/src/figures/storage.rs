//! How much lies in the media store, without counting it.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Files of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// `video`, `audio`, `image` or `other`.
    pub kind: String,
    pub files: i64,
    pub bytes: i64,
}

/// Adds what was noted since the last time, at most 20,000 changes at once, and says the sums.
pub async fn stored(conn: &mut PgConnection) -> Result<Vec<Stored>, DbError> {
    let rows = sqlx::query!(
        r#"WITH gone AS (
               DELETE FROM media_changes WHERE ctid = ANY (ARRAY(SELECT ctid FROM media_changes LIMIT 20000)) RETURNING type, files, bytes),
           news AS (SELECT type, sum(files)::bigint AS files, sum(bytes)::bigint AS bytes FROM gone GROUP BY type),
           added AS (
               UPDATE media_totals t SET files = t.files + n.files, bytes = t.bytes + n.bytes FROM news n WHERE n.type = t.type)
           SELECT t.type AS kind, t.files + coalesce(n.files, 0) AS "files!", t.bytes + coalesce(n.bytes, 0) AS "bytes!"
           FROM media_totals t LEFT JOIN news n ON n.type = t.type ORDER BY t.type"#
    )
    .fetch_all(conn)
    .await
    .doing("sum up what is stored")?;
    Ok(rows.into_iter().map(|row| Stored { kind: row.kind, files: row.files, bytes: row.bytes }).collect())
}
