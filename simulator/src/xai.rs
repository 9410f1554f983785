//! Answers of the language model: values that fit a JSON Schema, the same for the same prompt.

use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};
use spool_provider::xai::{Content, Message, Part};

/// Tokens of a picture at any detail.
const IMAGE_TOKENS: u64 = 512;
/// How deep a schema may lead; a circular one is cut off here.
const DEPTH: u32 = 24;

const WORDS: &[&str] = &[
    "slow", "dolly", "through", "a", "sunlit", "room", "with", "warm", "light", "over", "wooden", "floors",
    "towards", "the", "window", "gentle", "pan", "across", "meadow", "at", "dusk", "soft", "focus", "on",
    "details",
];

/// Where an answer's chance comes from. Every place in the answer draws from its own name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed([u8; 32]);

impl Seed {
    pub(crate) fn new(seed: u64, prompt: &str) -> Self {
        Self(Sha256::digest(format!("{seed}/{prompt}").as_bytes()).into())
    }

    fn at(self, name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(name.as_bytes());
        Self(hash.finalize().into())
    }

    fn below(self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(bytes) % limit.max(1)
    }
}

/// A value that fits `schema`.
pub(crate) fn generate(schema: &Value, seed: Seed) -> Value {
    value(schema, schema, seed, DEPTH)
}

fn value(root: &Value, schema: &Value, seed: Seed, depth: u32) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let deeper = |schema: &Value| value(root, schema, seed, depth - 1);
    if let Some(reference) = schema["$ref"].as_str() {
        return root.pointer(reference.trim_start_matches('#')).map_or(Value::Null, deeper);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.is_empty()) {
        return allowed[seed.below(allowed.len() as u64) as usize].clone();
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[choice].as_array().and_then(|choices| choices.first()) {
            return deeper(first);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        kind => kind.as_str(),
    };
    match kind {
        Some("array") => array(root, schema, seed, depth),
        Some("string") => Value::from(string(schema, seed)),
        Some("integer") => Value::from(number(schema, seed).round() as i64),
        Some("number") => Number::from_f64(number(schema, seed)).map_or(Value::Null, Value::Number),
        Some("boolean") => Value::Bool(seed.below(2) == 0),
        Some("null") => Value::Null,
        _ => object(root, schema, seed, depth),
    }
}

fn object(root: &Value, schema: &Value, seed: Seed, depth: u32) -> Value {
    let mut map = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        map.insert(name.clone(), value(root, property, seed.at(name), depth - 1));
    }
    Value::Object(map)
}

fn array(root: &Value, schema: &Value, seed: Seed, depth: u32) -> Value {
    let least = schema["minItems"].as_u64().unwrap_or(0);
    let most = schema["maxItems"].as_u64().unwrap_or_else(|| least.max(3));
    let count = least.max(3).min(most.max(least));
    (0..count).map(|index| value(root, &schema["items"], seed.at(&index.to_string()), depth - 1)).collect()
}

fn number(schema: &Value, seed: Seed) -> f64 {
    let least = schema["minimum"].as_f64().or_else(|| schema["exclusiveMinimum"].as_f64().map(|it| it + 1.0));
    let most = schema["maximum"].as_f64().or_else(|| schema["exclusiveMaximum"].as_f64().map(|it| it - 1.0));
    let least = least.unwrap_or_else(|| most.map_or(1.0, |most| most.min(1.0)));
    let most = most.unwrap_or(least + 9.0).max(least);
    let step = seed.below((most - least) as u64 + 1) as f64;
    (least + step).clamp(least, most)
}

fn string(schema: &Value, seed: Seed) -> String {
    match schema["format"].as_str() {
        Some("date") => return "2026-11-21".to_owned(),
        Some("time") => return "12:00:00Z".to_owned(),
        Some("date-time") => return "2026-11-21T12:00:00Z".to_owned(),
        Some("email") => return "someone@example.com".to_owned(),
        Some("uuid") => return "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        Some("ipv4") => return "192.0.2.1".to_owned(),
        Some("uri") => return "https://example.com/".to_owned(),
        _ => {}
    }
    let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
    let most = schema["maxLength"].as_u64().map_or(usize::MAX, |most| most as usize);
    let mut text = sentence(seed);
    while text.len() < least {
        text.push(' ');
        text.push_str(&sentence(seed.at(&text)));
    }
    text.truncate(most);
    text
}

/// A few words.
pub(crate) fn sentence(seed: Seed) -> String {
    let words =
        (0..8).map(|index| WORDS[seed.at(&format!("word {index}")).below(WORDS.len() as u64) as usize]);
    words.collect::<Vec<_>>().join(" ")
}

/// Tokens of a text: four characters each.
pub(crate) fn count(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

/// Tokens of the words and of the pictures of a conversation.
pub(crate) fn tokens(messages: &[Message]) -> (u64, u64) {
    let mut tokens = (0, 0);
    for message in messages {
        match &message.content {
            Content::Text(text) => tokens.0 += count(text),
            Content::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Text { text } => tokens.0 += count(text),
                        Part::ImageUrl { .. } => tokens.1 += IMAGE_TOKENS,
                    }
                }
            }
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_fit_the_schema_and_repeat() {
        let schema = json!({
            "type": "object", "required": ["scenes"],
            "properties": {
                "scenes": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"$ref": "#/$defs/scene"}},
                "title": {"type": ["string", "null"], "maxLength": 10}
            },
            "$defs": {"scene": {"type": "object", "properties": {
                "prompt": {"type": "string", "minLength": 60},
                "seconds": {"type": "integer", "enum": [4, 6, 8]},
                "order": {"type": "integer", "minimum": 1, "maximum": 4},
                "weight": {"type": "number", "minimum": 0.0, "maximum": 0.5},
                "style": {"anyOf": [{"const": "calm"}, {"type": "null"}]}
            }}}
        });
        let answer = generate(&schema, Seed::new(1, "plan"));
        assert_eq!(answer, generate(&schema, Seed::new(1, "plan")));
        assert_ne!(answer, generate(&schema, Seed::new(1, "plan again")));
        let scenes = answer["scenes"].as_array().unwrap();
        assert_eq!(scenes.len(), 4);
        for scene in scenes {
            assert!(scene["prompt"].as_str().unwrap().len() >= 60);
            assert!([4, 6, 8].contains(&scene["seconds"].as_i64().unwrap()));
            assert!((1..=4).contains(&scene["order"].as_i64().unwrap()));
            assert!((0.0..=0.5).contains(&scene["weight"].as_f64().unwrap()));
            assert_eq!(scene["style"], "calm");
        }
        assert!(answer["title"].as_str().unwrap().len() <= 10);
    }

    #[test]
    fn a_circular_schema_comes_to_an_end() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(generate(&schema, Seed::new(1, "x"))["next"].is_object());
    }
}
