//! Collects what is wrong with a request, field by field, so that one answer names all of it.

use serde_json::{Map, Value};
use spool_db::edit::Edit;

use crate::error::ApiError;

/// Sentences per field. Empty means the request is fine.
#[derive(Debug, Default)]
pub struct Invalid(Map<String, Value>);

impl Invalid {
    pub fn add(&mut self, field: &str, sentence: impl Into<String>) {
        let sentence = Value::String(sentence.into());
        match self.0.get_mut(field) {
            Some(Value::Array(list)) => list.push(sentence),
            _ => {
                self.0.insert(field.to_owned(), Value::Array(vec![sentence]));
            }
        }
    }

    /// The refusal for a single field.
    pub fn only(field: &str, sentence: impl Into<String>) -> ApiError {
        let mut invalid = Self::default();
        invalid.add(field, sentence);
        ApiError::invalid(invalid.0)
    }

    /// A text that must be there: trimmed, 1 to `max` characters. An absent one is noted and empty.
    pub fn required_text(&mut self, field: &str, value: Option<String>, max: usize) -> String {
        let value = value.unwrap_or_default();
        let trimmed = value.trim();
        if trimmed.is_empty() {
            self.add(field, "can't be blank");
        } else if trimmed.chars().count() > max {
            self.add(field, format!("should be at most {max} characters"));
        }
        trimmed.to_owned()
    }

    /// A text that may be there, of at most `max` characters.
    pub fn optional_text(&mut self, field: &str, value: Option<String>, max: usize) -> Option<String> {
        let value = value?;
        if value.chars().count() > max {
            self.add(field, format!("should be at most {max} characters"));
        }
        Some(value)
    }

    /// A change of a text that must stay: trimmed, 1 to `max` characters; an absent one stays as it is.
    pub fn kept_text(&mut self, field: &str, value: Edit<String>, max: usize) -> Option<String> {
        match value {
            Edit::Keep => None,
            Edit::Clear => Some(self.required_text(field, None, max)),
            Edit::Set(text) => Some(self.required_text(field, Some(text), max)),
        }
    }

    /// A change of a text that may be null, of at most `max` characters.
    pub fn edited_text(&mut self, field: &str, value: Edit<String>, max: usize) -> Edit<String> {
        if let Edit::Set(text) = &value
            && text.chars().count() > max
        {
            self.add(field, format!("should be at most {max} characters"));
        }
        value
    }

    /// A change of a free JSON object; null empties it.
    pub fn edited_object(&mut self, field: &str, value: Edit<Value>) -> Option<Value> {
        match value {
            Edit::Keep => None,
            Edit::Clear => Some(self.object(field, None)),
            Edit::Set(value) => Some(self.object(field, Some(value))),
        }
    }

    /// A free JSON object; absent or null is an empty one.
    pub fn object(&mut self, field: &str, value: Option<Value>) -> Value {
        match value {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(value @ Value::Object(_)) => value,
            Some(_) => {
                self.add(field, "must be an object");
                Value::Object(Map::new())
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.0)) }
    }
}
