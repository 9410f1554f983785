//! Rows by pages, by key and by parent.

use super::open::Source;
use super::row::{Cell, Row};
use super::table::{Table, quoted, selection};
use crate::error::ImportError;
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Connection, params_from_iter};

impl Source {
    /// The next rows in the order of the table.
    pub(crate) async fn page(
        &self,
        table: &Table,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Row>, ImportError> {
        let clause = format!("WHERE _rowid_ > ?1 ORDER BY _rowid_ LIMIT {limit}");
        let table = table.clone();
        self.with("read rows of", move |connection| read(connection, &table, &clause, &[&after])).await
    }

    /// The rows whose `column` is `value`, in the order of `order` and then of the table.
    pub(crate) async fn children(
        &self,
        table: &Table,
        column: &str,
        value: &str,
        order: &[&str],
    ) -> Result<Vec<Row>, ImportError> {
        let by: Vec<String> = order.iter().filter(|name| table.has(name)).map(|name| quoted(name)).collect();
        let by = by.iter().map(String::as_str).chain(["_rowid_"]).collect::<Vec<_>>().join(", ");
        let name = quoted(column);
        let number: Option<i64> = value.parse().ok();
        // Untyped columns hold the same key as a number or as a text.
        let clause = format!("WHERE {name} = ?1 OR {name} = ?2 ORDER BY {by}");
        let (table, value) = (table.clone(), value.to_owned());
        self.with("read rows of", move |connection| read(connection, &table, &clause, &[&value, &number]))
            .await
    }

    /// The row with this key.
    pub(crate) async fn by_key(&self, table: &Table, key: &str) -> Result<Option<Row>, ImportError> {
        let [column] = table.key.as_slice() else { return Ok(None) };
        Ok(self.children(table, column, key, &[]).await?.into_iter().next())
    }

    /// The numbers in `column` above `after`, in order.
    pub(crate) async fn numbers(
        &self,
        table: &str,
        column: &str,
        after: i64,
    ) -> Result<Vec<i64>, ImportError> {
        let (table, column) = (quoted(table), quoted(column));
        let sql = format!(
            "SELECT {column} FROM {table} WHERE typeof({column}) = 'integer' AND {column} > ?1 ORDER BY {column} LIMIT 1000"
        );
        self.with("read the numbers of", move |connection| {
            connection.prepare(&sql)?.query_map([after], |row| row.get(0))?.collect()
        })
        .await
    }
}

fn read(
    connection: &Connection,
    table: &Table,
    clause: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare(&format!("{} {clause}", selection(table)))?;
    let mut rows = statement.query(params_from_iter(values.iter()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let position = row.get(0)?;
        let mut cells = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            let at = 1 + index * 3;
            let length: Option<i64> = row.get(at + 2)?;
            cells.push((column.clone(), cell(row.get_ref(at)?, row.get_ref(at + 1)?.as_str()?, length)));
        }
        let mut row = Row { table: table.name.clone(), id: String::new(), position, cells };
        row.id = id(table, &row);
        found.push(row);
    }
    Ok(found)
}

fn cell(value: ValueRef<'_>, kind: &str, length: Option<i64>) -> Cell {
    let bytes = Cell::Bytes(length.unwrap_or_default().unsigned_abs());
    match value {
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(text) => std::str::from_utf8(text).map_or(bytes, |text| Cell::Text(text.to_owned())),
        ValueRef::Null if kind == "null" => Cell::Null,
        ValueRef::Null | ValueRef::Blob(_) => bytes,
    }
}

/// The key as text. Older SQLite lets a key be null; then the position stands for it.
fn id(table: &Table, row: &Row) -> String {
    let parts: Option<Vec<String>> = table.key.iter().map(|column| row.key(column)).collect();
    match parts {
        Some(parts) if !parts.is_empty() => parts.join("/"),
        _ => format!("row {}", row.position),
    }
}
