//! What tables a file has, and their columns: probed, never assumed.

use rusqlite::Connection;
use std::fmt::Write;

/// A table as it is in this file.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// The columns of its key; none: the row's position is its key.
    pub(crate) key: Vec<String>,
    /// Tables WITHOUT ROWID have no positions, by which rows are paged and media are streamed.
    pub(crate) has_rowid: bool,
    pub(crate) rows: u64,
}

impl Table {
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Every ordinary table, by name.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let mut list = connection.prepare(
        "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         ORDER BY name",
    )?;
    let names = list.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
    names.map(|named| named.and_then(|(name, without)| one(connection, name, !without))).collect()
}

fn one(connection: &Connection, name: String, has_rowid: bool) -> rusqlite::Result<Table> {
    let mut info =
        connection.prepare("SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid")?;
    let columns: Vec<(String, i64)> =
        info.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut key: Vec<(i64, String)> = columns
        .iter()
        .filter(|(_, place)| *place > 0)
        .map(|(column, place)| (*place, column.clone()))
        .collect();
    key.sort_unstable();
    let count = format!("SELECT count(*) FROM {}", quoted(&name));
    let rows: i64 = connection.query_row(&count, [], |row| row.get(0))?;
    Ok(Table {
        columns: columns.into_iter().map(|(column, _)| column).collect(),
        key: key.into_iter().map(|(_, column)| column).collect(),
        has_rowid,
        rows: rows.unsigned_abs(),
        name,
    })
}

/// Longest text that is read into memory, in bytes; longer ones are streamed like media.
const MOST_TEXT: usize = 1 << 20;

/// For each column three values: the value unless it is long, its type, its length in bytes. Neither type nor length reads the
/// value itself. The row's position comes first.
pub(crate) fn selection(table: &Table) -> String {
    let mut sql = String::from("SELECT _rowid_");
    for column in &table.columns {
        let name = quoted(column);
        // Writing to a string cannot fail.
        write!(
            sql,
            ", CASE WHEN typeof({name}) = 'blob' OR octet_length({name}) > {MOST_TEXT} THEN NULL ELSE {name} END, typeof({name}), \
             octet_length({name})"
        )
        .ok();
    }
    write!(sql, " FROM {}", quoted(&table.name)).ok();
    sql
}
