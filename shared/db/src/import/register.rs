//! What was read from the older systems, row by row: what makes an import resumable, and what keeps every column.

use crate::error::{DbError, Doing};
use serde_json::Value;
use sqlx::PgConnection;

/// Which row of which file.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The file, in the operator's words.
    pub source: &'a str,
    /// Its table.
    pub table: &'a str,
    /// The row's key there, as text.
    pub row: &'a str,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It has a row of ours.
    Carried {
        /// Our table.
        target: &'static str,
        /// Its id there.
        id: String,
    },
    /// It is kept in the register alone.
    Beside {
        /// One sentence.
        why: String,
    },
    /// It lacks bytes that a later run may find.
    Waiting {
        /// One sentence.
        why: String,
    },
}

impl Fate {
    fn state(&self) -> &'static str {
        match self {
            Self::Carried { .. } => "carried",
            Self::Beside { .. } => "beside",
            Self::Waiting { .. } => "waiting",
        }
    }
}

/// A row that was registered before.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its key in the older system.
    pub row: String,
    /// Of the row as it was read then.
    pub checksum: String,
    /// It lacked bytes then.
    pub waiting: bool,
    /// The run that brought it.
    pub import: i64,
}

/// Notes the beginning of a run.
pub async fn begin(conn: &mut PgConnection, source: &str, system: &str) -> Result<i64, DbError> {
    sqlx::query_scalar!("INSERT INTO imports (source, system) VALUES ($1, $2) RETURNING id", source, system)
        .fetch_one(conn)
        .await
        .doing("note the beginning of the import")
}

/// Notes its end.
pub async fn finish(conn: &mut PgConnection, import: i64, report: &Value) -> Result<(), DbError> {
    sqlx::query!("UPDATE imports SET finished_at = now(), report = $2 WHERE id = $1", import, report)
        .execute(conn)
        .await
        .doing("note the end of the import")?;
    Ok(())
}

/// Which of these rows were registered before.
pub async fn known(
    conn: &mut PgConnection,
    source: &str,
    table: &str,
    rows: &[String],
) -> Result<Vec<Known>, DbError> {
    sqlx::query_as!(
        Known,
        r#"SELECT row_id AS row, checksum, state = 'waiting' AS "waiting!", import_id AS import FROM imported_rows
           WHERE source = $1 AND table_name = $2 AND row_id = ANY($3)"#,
        source,
        table,
        rows,
    )
    .fetch_all(conn)
    .await
    .doing("look up the rows that are imported")
}

/// How many rows of a table are registered.
pub async fn count(conn: &mut PgConnection, source: &str, table: &str) -> Result<i64, DbError> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM imported_rows WHERE source = $1 AND table_name = $2"#,
        source,
        table
    )
    .fetch_one(conn)
    .await
    .doing("count the rows that are imported")
}

/// The media of a row: column and digest.
pub async fn media(conn: &mut PgConnection, origin: Origin<'_>) -> Result<Vec<(String, String)>, DbError> {
    let rows = sqlx::query!(
        "SELECT column_name, digest FROM imported_media WHERE source = $1 AND table_name = $2 AND row_id = $3",
        origin.source,
        origin.table,
        origin.row,
    )
    .fetch_all(conn)
    .await
    .doing("read the media of an imported row")?;
    Ok(rows.into_iter().map(|row| (row.column_name, row.digest)).collect())
}

/// Registers a row. One that waited before gets its new fate; any other that is there makes this fail.
pub async fn record(
    conn: &mut PgConnection,
    import: i64,
    origin: Origin<'_>,
    checksum: &str,
    fate: &Fate,
    document: &Value,
) -> Result<(), DbError> {
    const DOING: &str = "register an imported row";
    let (target, id, why) = match fate {
        Fate::Carried { target, id } => (Some(*target), Some(id.as_str()), None),
        Fate::Beside { why } | Fate::Waiting { why } => (None, None, Some(why.as_str())),
    };
    let recorded = sqlx::query!(
        "INSERT INTO imported_rows (source, table_name, row_id, import_id, checksum, state, target, target_id, why, document)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (source, table_name, row_id) DO UPDATE
         SET import_id = $4, checksum = $5, state = $6, target = $7, target_id = $8, why = $9, document = $10, at = now()
         WHERE imported_rows.state = 'waiting'",
        origin.source,
        origin.table,
        origin.row,
        import,
        checksum,
        fate.state(),
        target,
        id,
        why,
        document,
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    if recorded.rows_affected() == 0 {
        let what = format!("row {} of {} of {}", origin.row, origin.table, origin.source);
        return Err(DbError::Moved { operation: DOING, what });
    }
    Ok(())
}

/// Notes which bytes a column of a registered row named. Their media row must be there.
pub async fn record_media(
    conn: &mut PgConnection,
    origin: Origin<'_>,
    column: &str,
    digest: &str,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO imported_media (source, table_name, row_id, column_name, digest) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (source, table_name, row_id, column_name) DO UPDATE SET digest = $5",
        origin.source,
        origin.table,
        origin.row,
        column,
        digest,
    )
    .execute(conn)
    .await
    .doing("register imported media")?;
    Ok(())
}
