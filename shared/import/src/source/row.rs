//! One row as it stands in the older database. Media are not in it: only how long they are.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use spool_job::canonical;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    /// A BLOB, or a text that is very long or no UTF-8; streamed where it is wanted.
    Bytes(u64),
}

/// A row and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) table: String,
    /// Its key as text.
    pub(crate) id: String,
    /// Its position in the table.
    pub(crate) position: i64,
    pub(crate) cells: Vec<(String, Cell)>,
}

impl Row {
    /// The value of a column; `Null` where there is no such column in this file.
    pub(crate) fn cell(&self, column: &str) -> &Cell {
        self.cells.iter().find(|(name, _)| name == column).map_or(&Cell::Null, |(_, cell)| cell)
    }

    /// A text as it stands, unless it is blank.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        match self.cell(column) {
            Cell::Text(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    /// A key: texts and numbers alike.
    pub(crate) fn key(&self, column: &str) -> Option<String> {
        match self.cell(column) {
            Cell::Integer(number) => Some(number.to_string()),
            _ => self.text(column).map(|text| text.trim().to_owned()),
        }
    }

    /// A text that holds JSON.
    pub(crate) fn json(&self, column: &str) -> Option<Value> {
        serde_json::from_str(self.text(column)?).ok()
    }

    /// Columns whose value is streamed.
    pub(crate) fn streamed(&self) -> impl Iterator<Item = &str> {
        self.cells
            .iter()
            .filter(|(_, cell)| matches!(cell, Cell::Bytes(bytes) if *bytes > 0))
            .map(|(name, _)| name.as_str())
    }

    /// SHA-256 of all values, of media only their length.
    pub(crate) fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for (column, cell) in &self.cells {
            // Lengths keep one value from running into the next.
            hash.update((column.len() as u64).to_le_bytes());
            hash.update(column);
            let (kind, bytes): (u8, Vec<u8>) = match cell {
                Cell::Null => (0, Vec::new()),
                Cell::Integer(number) => (1, number.to_le_bytes().to_vec()),
                Cell::Real(number) => (2, number.to_bits().to_le_bytes().to_vec()),
                Cell::Text(text) => (3, text.clone().into_bytes()),
                Cell::Bytes(length) => (4, length.to_le_bytes().to_vec()),
            };
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
        }
        canonical::hex(&hash.finalize())
    }

    /// All values that say something, but for secrets.
    pub(crate) fn document(&self) -> Map<String, Value> {
        self.cells
            .iter()
            .filter(|(name, _)| !is_secret(name))
            .filter_map(|(name, cell)| Some((name.clone(), shown(cell)?)))
            .collect()
    }
}

/// A value as JSON; Postgres keeps no NUL in a text.
pub(crate) fn shown(cell: &Cell) -> Option<Value> {
    match cell {
        Cell::Null => None,
        Cell::Integer(number) => Some(json!(number)),
        // JSON has no infinity.
        Cell::Real(number) => {
            Some(if number.is_finite() { json!(number) } else { json!(number.to_string()) })
        }
        Cell::Text(text) => Some(json!(clean(text))),
        Cell::Bytes(bytes) => Some(json!({ "bytes": bytes })),
    }
}

/// Without the one character that Postgres cannot keep.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Hashes of passwords and keys: of no use here, and a danger wherever they lie.
pub(crate) fn is_secret(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    ["password", "key_hash", "secret", "token_hash"].iter().any(|word| column.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, Cell)]) -> Row {
        let cells = cells.iter().map(|(name, cell)| ((*name).to_owned(), cell.clone())).collect();
        Row { table: "t".into(), id: "1".into(), position: 1, cells }
    }

    #[test]
    fn a_checksum_changes_with_each_value() {
        let text = |text: &str| Cell::Text(text.into());
        let rows = [
            row(&[("a", text("xy")), ("b", text(""))]),
            row(&[("a", text("x")), ("b", text("y"))]),
            row(&[("a", text("x")), ("c", text("y"))]),
            row(&[("a", text("x")), ("b", Cell::Null)]),
            row(&[("a", Cell::Integer(1)), ("b", Cell::Null)]),
            row(&[("a", Cell::Real(1.0)), ("b", Cell::Null)]),
            row(&[("a", Cell::Bytes(1)), ("b", Cell::Null)]),
        ];
        let sums: std::collections::BTreeSet<String> = rows.iter().map(Row::checksum).collect();
        assert_eq!(sums.len(), rows.len());
        assert_eq!(rows[0].checksum(), rows[0].clone().checksum());
    }

    #[test]
    fn secrets_are_in_no_document() {
        let all = row(&[
            ("username", Cell::Text("ada".into())),
            ("hashed_password", Cell::Text("$2b$".into())),
            ("api_key_hash", Cell::Text("$2b$".into())),
            ("image", Cell::Bytes(7)),
        ]);
        assert_eq!(Value::Object(all.document()), json!({"username": "ada", "image": {"bytes": 7}}));
    }
}
