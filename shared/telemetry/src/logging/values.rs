//! The fields of a span or of a line. A text becomes a value only through [`crate::redact`].

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};

use crate::redact;

/// A value as it may be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Uint(u64),
    Float(f64),
    Bool(bool),
}

impl Value {
    pub(super) fn text(raw: &str) -> Self {
        Self::Text(redact::text(raw).into_owned())
    }
}

/// What was recorded, in order; the last word on a name counts.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) message: Option<String>,
    /// Where a line of the `log` crate comes from.
    pub(super) target: Option<String>,
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Values {
    fn set(&mut self, field: &Field, value: Value) {
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
}

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::text(value));
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

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !chain.ends_with(&cause_text) {
                chain.push_str(": ");
                chain.push_str(&cause_text);
            }
            source = cause.source();
        }
        self.set(field, Value::text(&chain));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Value::text(&format!("{value:?}")));
    }
}
