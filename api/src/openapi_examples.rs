//! An example for each JSON answer of the OpenAPI document, made from its schema: the words of `openapi_words`, by the name
//! of the member, and otherwise what the schema itself says. An answer that brings an example of its own keeps it.

use serde_json::{Map, Value, json};
use utoipa::openapi::{OpenApi, RefOr};

use crate::openapi_words::word;

/// Gives every JSON answer that says success an example.
pub fn fill(document: &mut OpenApi) {
    // Schemas are JSON; of one that were not the example would be null, which no schema of ours allows.
    let components = serde_json::to_value(&document.components).unwrap_or_default();
    let schemas = &components["schemas"];
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else { continue };
                let Some(RefOr::T(content)) = response.content.get_mut("application/json") else {
                    continue;
                };
                if status.starts_with('2') && content.example.is_none() && content.examples.is_empty() {
                    let schema = serde_json::to_value(&content.schema).unwrap_or_default();
                    content.example = Some(Examples { schemas }.of(&schema, ""));
                }
            }
        }
    }
}

struct Examples<'a> {
    schemas: &'a Value,
}

impl Examples<'_> {
    /// `owner` is the name of the schema whose members these are.
    fn of(&self, schema: &Value, owner: &str) -> Value {
        if let Some(example) = schema.get("example") {
            return example.clone();
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.of(&self.schemas[name], name);
        }
        if let Some(all) = schema["allOf"].as_array() {
            let parts = all.iter().filter_map(|part| match self.of(part, owner) {
                Value::Object(members) => Some(members),
                _ => None,
            });
            return Value::Object(parts.flatten().collect());
        }
        if let Some(several) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            let shown = several.iter().find(|one| one["type"] != "null");
            return shown.map_or(Value::Null, |one| self.of(one, owner));
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        match kind(schema) {
            "object" => Value::Object(self.members(schema, owner)),
            "array" => json!([self.of(&schema["items"], owner)]),
            "string" => json!(match schema["format"].as_str() {
                Some("uuid") => "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e",
                Some("date-time") => "2026-11-21T10:15:00Z",
                Some("date") => "2026-11-21",
                _ => "",
            }),
            "integer" => json!(1),
            "number" => json!(1.0),
            "boolean" => json!(true),
            _ => Value::Null,
        }
    }

    fn members(&self, schema: &Value, owner: &str) -> Map<String, Value> {
        let members = schema["properties"].as_object().into_iter().flatten();
        let shown = |(name, schema): (&String, &Value)| {
            let value = match word(owner, name) {
                Some(word) => word,
                None if may_be_null(schema) => Value::Null,
                None => self.of(schema, owner),
            };
            (name.clone(), value)
        };
        members.map(shown).collect()
    }
}

/// What is usually not there is shown so, unless there is a word for it.
fn may_be_null(schema: &Value) -> bool {
    let types = schema["type"].as_array().or(schema["oneOf"].as_array());
    types.is_some_and(|types| types.iter().any(|one| one == "null" || one["type"] == "null"))
}

fn kind(schema: &Value) -> &str {
    let several = schema["type"].as_array().into_iter().flatten();
    let first = several.filter_map(Value::as_str).find(|one| *one != "null");
    schema["type"].as_str().or(first).unwrap_or_default()
}
