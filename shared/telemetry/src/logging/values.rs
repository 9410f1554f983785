//! The fields of a span or of a line. A text becomes a value only through [`crate::redact`].

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write};
use std::ops::Range;

use tracing::field::{Field, Visit};

use crate::redact;

/// A value as it may be written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<T> {
    Text(T),
    Int(i64),
    Uint(u64),
    Float(f64),
    Bool(bool),
}

/// Where a text stands among those of its span or line.
type Place = Range<usize>;

/// What was recorded, in order; the last word on a name counts. All texts are one, because a process makes these for every attempt.
#[derive(Debug, Default)]
pub(super) struct Values {
    texts: String,
    message: Option<Place>,
    target: Option<Place>,
    fields: Vec<(&'static str, Value<Place>)>,
}

/// Enough for the texts of most spans.
const USUAL_BYTES: usize = 96;

impl Values {
    /// With room for so many fields.
    pub(super) fn for_fields(count: usize) -> Self {
        Self {
            texts: String::with_capacity(USUAL_BYTES),
            fields: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    pub(super) fn message(&self) -> &str {
        self.message.clone().map_or("", |place| &self.texts[place])
    }

    /// Where a line of the `log` crate comes from.
    pub(super) fn target(&self) -> Option<&str> {
        self.target.clone().map(|place| &self.texts[place])
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, Value<&str>)> {
        self.fields.iter().map(|(name, value)| {
            let value = match value {
                Value::Text(place) => Value::Text(&self.texts[place.clone()]),
                Value::Int(value) => Value::Int(*value),
                Value::Uint(value) => Value::Uint(*value),
                Value::Float(value) => Value::Float(*value),
                Value::Bool(value) => Value::Bool(*value),
            };
            (*name, value)
        })
    }

    /// Makes room for another line.
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.message = None;
        self.target = None;
        self.fields.clear();
    }

    fn set(&mut self, field: &Field, value: Value<Place>) {
        let name = field.name();
        match (name, value) {
            ("message", Value::Text(message)) => self.message = Some(message),
            ("log.target", Value::Text(target)) => self.target = Some(target),
            // Of the `log` crate and of traces: not for readers.
            _ if name.starts_with("log.") || name.starts_with("otel.") => {}
            (name, value) => match self.fields.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => self.fields.push((name, value)),
            },
        }
    }

    /// What `write` adds to the texts is a value without what must not be said.
    fn set_text(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        let start = self.texts.len();
        write(&mut self.texts);
        if let Cow::Owned(clean) = redact::text(&self.texts[start..]) {
            self.texts.truncate(start);
            self.texts.push_str(&clean);
        }
        self.set(field, Value::Text(start..self.texts.len()));
    }
}

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field, |texts| texts.push_str(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::Uint(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::Bool(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !chain.ends_with(&cause_text) {
                chain.push_str(": ");
                chain.push_str(&cause_text);
            }
            source = cause.source();
        }
        self.set_text(field, |texts| texts.push_str(&chain));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail, and a value that cannot be told says nothing.
        self.set_text(field, |texts| write!(texts, "{value:?}").unwrap_or_default());
    }
}
