//! Input comes in `snake_case` or `camelCase`; inside there is only `snake_case`. Only the names at the top are
//! turned: free maps (`metadata`, `parameters`) stay as the caller wrote them.

use serde_json::{Map, Value};

/// `clientId` -> `client_id`; what is snake already stays.
pub fn to_snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut previous_is_lower = false;
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            if previous_is_lower {
                snake.push('_');
            }
            snake.push(character.to_ascii_lowercase());
            previous_is_lower = false;
        } else {
            previous_is_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
            snake.push(character);
        }
    }
    snake
}

/// Turns the names of one object. Where both casings are given, the snake one wins.
pub fn snake_keys(object: Map<String, Value>) -> Map<String, Value> {
    let mut turned = Map::with_capacity(object.len());
    for (name, value) in object {
        let snake = to_snake(&name);
        if snake == name || !turned.contains_key(&snake) {
            turned.insert(snake, value);
        }
    }
    turned
}

/// Postgres stores no NUL character, neither in text nor in jsonb: it is refused at the door.
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, item)| name.contains('\0') || has_nul(item)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_casings_meet_in_snake() {
        for (given, wanted) in [
            ("clientId", "client_id"),
            ("client_id", "client_id"),
            ("sourceURL", "source_url"),
            ("image1Id", "image1_id"),
            ("Name", "name"),
            ("x", "x"),
            ("", ""),
        ] {
            assert_eq!(to_snake(given), wanted);
        }
    }

    #[test]
    fn only_the_top_is_turned_and_snake_wins() {
        let given = json!({"client_id": 1, "clientId": 2, "metaData": {"keepMe": true}});
        let Value::Object(given) = given else { unreachable!() };
        assert_eq!(Value::Object(snake_keys(given)), json!({"client_id": 1, "meta_data": {"keepMe": true}}));
        let given = json!({"clientId": 2, "client_id": 1});
        let Value::Object(given) = given else { unreachable!() };
        assert_eq!(Value::Object(snake_keys(given)), json!({"client_id": 1}));
    }

    #[test]
    fn nul_is_found_at_any_depth() {
        assert!(has_nul(&json!({"a": [{"b": "x\u{0}"}]})));
        assert!(has_nul(&json!({"a\u{0}": 1})));
        assert!(!has_nul(&json!({"a": ["b", 1, null]})));
    }
}
