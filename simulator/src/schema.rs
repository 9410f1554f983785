//! Checks a model's input against its schema and words the complaints as the service does; also the
//! OpenAPI document that a model shows.

use crate::model::Model;
use serde_json::{Map, Value, json};
use spool_provider::wire::InvalidField;

/// What is wrong with `input`, empty when nothing is.
pub(crate) fn check(model: &Model, input: &Map<String, Value>) -> Vec<InvalidField> {
    let mut wrong = Vec::new();
    for name in &model.required {
        if !input.contains_key(name) {
            wrong.push(complaint("required", "input", format!("{name} is required")));
        }
    }
    for (name, value) in input {
        match model.properties.get(name) {
            None => wrong.push(complaint(
                "additional_property_not_allowed",
                "input",
                format!("Additional property {name} is not allowed"),
            )),
            Some(property) => check_value(&format!("input.{name}"), property, value, &mut wrong),
        }
    }
    wrong
}

/// Body of the 422 that carries these complaints.
pub(crate) fn problem(wrong: &[InvalidField]) -> Value {
    let lines: Vec<String> = wrong.iter().map(|it| format!("- {}: {}\n", it.field, it.description)).collect();
    json!({
        "detail": lines.concat(), "status": 422, "title": "Input validation failed", "invalid_fields": wrong
    })
}

/// One complaint.
pub(crate) fn complaint(kind: &str, field: &str, description: String) -> InvalidField {
    InvalidField { kind: kind.to_owned(), field: field.to_owned(), description }
}

fn check_value(field: &str, property: &Value, value: &Value, wrong: &mut Vec<InvalidField>) {
    if value.is_null() && property["nullable"] == json!(true) {
        return;
    }
    let expected = property["type"].as_str().unwrap_or("string");
    if !has_type(expected, value) {
        let given = type_name(value);
        let text = format!("Invalid type. Expected: {expected}, given: {given}");
        wrong.push(complaint("invalid_type", field, text));
        return;
    }
    if let Some(allowed) = property["enum"].as_array()
        && !allowed.iter().any(|one| same(one, value))
    {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        let text = format!("{field} must be one of the following: {}", allowed.join(", "));
        wrong.push(complaint("enum", field, text));
    }
    if let (Some(number), Some(limit)) = (value.as_f64(), property["minimum"].as_f64())
        && number < limit
    {
        wrong.push(complaint("number_gte", field, format!("Must be greater than or equal to {limit}")));
    }
    if let (Some(number), Some(limit)) = (value.as_f64(), property["maximum"].as_f64())
        && number > limit
    {
        wrong.push(complaint("number_lte", field, format!("Must be less than or equal to {limit}")));
    }
    if let (Some(text), Some(limit)) = (value.as_str(), property["maxLength"].as_u64())
        && text.chars().count() as u64 > limit
    {
        let text = format!("String length must be less than or equal to {limit}");
        wrong.push(complaint("string_lte", field, text));
    }
    if property["format"] == json!("uri") && !value.as_str().is_some_and(is_uri) {
        wrong.push(complaint("format", field, "Does not match format 'uri'".to_owned()));
    }
    if let Some(items) = value.as_array() {
        check_items(field, property, items, wrong);
    }
}

fn check_items(field: &str, property: &Value, items: &[Value], wrong: &mut Vec<InvalidField>) {
    let count = items.len() as u64;
    if let Some(limit) = property["minItems"].as_u64()
        && count < limit
    {
        wrong.push(complaint("array_min_items", field, format!("Array must have at least {limit} items")));
    }
    if let Some(limit) = property["maxItems"].as_u64()
        && count > limit
    {
        wrong.push(complaint("array_max_items", field, format!("Array must have at most {limit} items")));
    }
    for (index, item) in items.iter().enumerate() {
        check_value(&format!("{field}.{index}"), &property["items"], item, wrong);
    }
}

fn has_type(expected: &str, value: &Value) -> bool {
    match expected {
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_string(),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// 4 and 4.0 are the same number to the service.
fn same(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().is_some_and(|number| other.as_f64() == Some(number))
}

fn is_uri(text: &str) -> bool {
    text.starts_with("data:") || url::Url::parse(text).is_ok_and(|url| url.has_host())
}

/// The `openapi_schema` of the model's version, the part that clients read.
pub(crate) fn openapi(model: &Model) -> Value {
    json!({
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": {
            "Input": {"type": "object", "title": "Input", "required": model.required, "properties": model.properties},
            "Output": model.output,
        }}
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Models;

    fn complaints(slug: &str, input: Value) -> Vec<(String, String, String)> {
        let models = Models::load().unwrap();
        let wrong = check(models.by_slug(slug).unwrap(), input.as_object().unwrap());
        wrong.into_iter().map(|it| (it.kind, it.field, it.description)).collect()
    }

    fn one(slug: &str, input: Value) -> (String, String, String) {
        let mut wrong = complaints(slug, input);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        wrong.remove(0)
    }

    fn row(kind: &str, field: &str, text: &str) -> (String, String, String) {
        (kind.to_owned(), field.to_owned(), text.to_owned())
    }

    #[test]
    fn good_inputs_pass() {
        let veo = json!({"prompt": "p", "image": "https://a/b.jpg", "last_frame": "http://127.0.0.1:1/x", "duration": 4,
            "resolution": "720p", "aspect_ratio": "16:9", "generate_audio": false, "seed": null});
        assert_eq!(complaints("google/veo-3.1-fast", veo), []);
        assert_eq!(complaints("google/veo-3.1", json!({"prompt": "p", "duration": 8.0})), []);
        assert_eq!(complaints("meta/musicgen", json!({})), []);
    }

    #[test]
    fn complaints_read_like_the_service() {
        assert_eq!(one("google/veo-3.1-fast", json!({})), row("required", "input", "prompt is required"));
        assert_eq!(
            one("google/veo-3.1-fast", json!({"prompt": "p", "aspect_ratio": "1:1"})),
            row(
                "enum",
                "input.aspect_ratio",
                r#"input.aspect_ratio must be one of the following: "16:9", "9:16""#
            )
        );
        assert_eq!(
            one("black-forest-labs/flux-schnell", json!({"prompt": "p", "num_inference_steps": 9})),
            row("number_lte", "input.num_inference_steps", "Must be less than or equal to 4")
        );
        assert_eq!(
            one("meta/musicgen", json!({"continuation_start": 1.5})),
            row("invalid_type", "input.continuation_start", "Invalid type. Expected: integer, given: number")
        );
        assert_eq!(one("meta/musicgen", json!({"input_audio": "UklGRg=="})).0, "format");
        assert_eq!(
            one("minimax/hailuo-02", json!({"prompt": "p", "fps": 3})),
            row("additional_property_not_allowed", "input", "Additional property fps is not allowed")
        );
        assert_eq!(
            one("google/veo-3.1", json!({"prompt": "p", "reference_images": []})).0,
            "array_min_items"
        );
    }

    #[test]
    fn the_problem_lists_every_complaint() {
        let body = problem(&[complaint("required", "input", "prompt is required".to_owned())]);
        assert_eq!(body["detail"], "- input: prompt is required\n");
        assert_eq!(body["invalid_fields"][0]["type"], "required");
    }
}
