//! Canonical JSON and its digest: what makes two purchases the same. Written apart from the client's own,
//! because an oracle that shares the code of what it judges judges nothing.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// JSON with sorted keys and no white space.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), text(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

/// SHA-256 of the canonical JSON, lowercase hex.
pub(crate) fn digest(value: &Value) -> String {
    hex(&Sha256::digest(text(value).as_bytes()))
}

/// Lowercase hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value: Value = serde_json::from_str(r#"{"b": [1, {"d": null, "c": "ü\"y"}], "a": 1.5}"#).unwrap();
        assert_eq!(text(&value), r#"{"a":1.5,"b":[1,{"c":"ü\"y","d":null}]}"#);
    }

    #[test]
    fn the_digest_is_sha256_of_the_text() {
        assert_eq!(digest(&json!({})), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
