//! Reads a row for one of ours, and knows afterwards what was left over: nothing is dropped because nobody asked for it.

use super::times;
use crate::keep::{Held, Media};
use crate::source::row::{Cell, Row, clean, is_secret, shown};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use spool_db::import::accounts::Times;
use std::collections::BTreeSet;

/// Most characters of a name here.
const LONGEST_NAME: usize = 255;

/// A row while it is read. A value counts as taken only if it could be used as asked for.
pub(crate) struct Reader<'a> {
    row: &'a Row,
    media: &'a Media,
    taken: BTreeSet<&'a str>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(row: &'a Row, media: &'a Media) -> Self {
        Self { row, media, taken: BTreeSet::new() }
    }

    /// The first of these columns for which `read` finds something.
    fn take<T>(&mut self, names: &[&str], read: impl Fn(&'a Cell) -> Option<T>) -> Option<T> {
        let row: &'a Row = self.row;
        let (name, value) = names.iter().find_map(|wanted| {
            let (name, cell) = row.cells.iter().find(|(name, _)| name == wanted)?;
            Some((name.as_str(), read(cell)?))
        })?;
        self.taken.insert(name);
        Some(value)
    }

    /// A text as it stands, without taking it.
    pub(crate) fn peek(&self, name: &str) -> Option<&'a str> {
        self.row.text(name)
    }

    /// A text that is not blank, or a number as text.
    pub(crate) fn text(&mut self, names: &[&str]) -> Option<String> {
        self.take(names, |cell| match cell {
            Cell::Text(text) if !text.trim().is_empty() => Some(clean(text)),
            Cell::Integer(number) => Some(number.to_string()),
            Cell::Real(number) => Some(number.to_string()),
            _ => None,
        })
    }

    /// A text with at least one character and at most as many as a name has here; a longer one stays in the document, too.
    pub(crate) fn name(&mut self, names: &[&str]) -> Option<String> {
        let short = |text: &str| {
            (!text.trim().is_empty() && text.chars().count() <= LONGEST_NAME).then(|| clean(text.trim()))
        };
        self.take(names, |cell| if let Cell::Text(text) = cell { short(text) } else { None }).or_else(|| {
            let long = names.iter().find_map(|name| self.row.text(name))?;
            Some(clean(&long.trim().chars().take(LONGEST_NAME).collect::<String>()))
        })
    }

    pub(crate) fn integer(&mut self, names: &[&str]) -> Option<i64> {
        self.take(names, |cell| match cell {
            Cell::Integer(number) => Some(*number),
            Cell::Real(number) if number.fract() == 0.0 && number.abs() < 1e15 => Some(*number as i64),
            Cell::Text(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    pub(crate) fn real(&mut self, names: &[&str]) -> Option<f64> {
        let number = self.take(names, |cell| match cell {
            Cell::Integer(number) => Some(*number as f64),
            Cell::Real(number) => Some(*number),
            Cell::Text(text) => text.trim().parse().ok(),
            _ => None,
        });
        number.filter(|number| number.is_finite())
    }

    /// JSON of any shape.
    pub(crate) fn json(&mut self, names: &[&str]) -> Option<Value> {
        self.take(names, |cell| {
            if let Cell::Text(text) = cell { serde_json::from_str(&clean_json(text)).ok() } else { None }
        })
    }

    /// A JSON object.
    pub(crate) fn object(&mut self, names: &[&str]) -> Option<Value> {
        self.take(names, |cell| match cell {
            Cell::Text(text) => serde_json::from_str(&clean_json(text)).ok().filter(Value::is_object),
            _ => None,
        })
    }

    pub(crate) fn time(&mut self, names: &[&str]) -> Option<DateTime<Utc>> {
        self.take(names, |cell| match cell {
            Cell::Text(text) => times::read(text),
            Cell::Integer(number) => times::epoch(*number),
            _ => None,
        })
    }

    /// When the row was made and last changed.
    pub(crate) fn times(&mut self) -> Times {
        Times {
            inserted: self.time(&["inserted_at", "created_at", "uploaded_at"]),
            updated: self.time(&["updated_at"]),
        }
    }

    /// The media that the first of these columns holds or names, if `fits`.
    pub(crate) fn media(&mut self, names: &[&str], fits: impl Fn(&Held) -> bool) -> Option<&'a Held> {
        let media: &'a Media = self.media;
        let (name, held) = names.iter().find_map(|wanted| {
            let (name, held) = media.get_key_value(*wanted)?;
            fits(held).then_some((name.as_str(), held))
        })?;
        self.taken.insert(name);
        Some(held)
    }

    /// The key is what it is called here.
    pub(crate) fn knows(&mut self, names: &[&'a str]) {
        self.taken.extend(names);
    }

    /// What it says and what nobody took, without secrets.
    pub(crate) fn rest(self) -> Map<String, Value> {
        let left =
            self.row.cells.iter().filter(|(name, _)| !self.taken.contains(name.as_str()) && !is_secret(name));
        left.filter_map(|(name, cell)| {
            let value = match (self.media.get(name), shown(cell)?) {
                (Some(held), Value::Object(_)) => json!({"bytes": held.bytes, "digest": held.digest}),
                (_, value) => value,
            };
            Some((name.clone(), value))
        })
        .collect()
    }
}

/// jsonb keeps no NUL either, escaped or not.
fn clean_json(text: &str) -> String {
    clean(text).replace("\\u0000", "\\ufffd")
}
