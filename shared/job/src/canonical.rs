//! Canonical JSON and the digest of a model's input. Two inputs are the same purchase when their
//! digests are equal, so the text must not depend on key order or on signed, expiring URLs: callers
//! put the SHA-256 of the bytes where the URL will stand.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// JSON with sorted keys and no white space.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", Value::String(key.clone()));
                write_value(out, &map[key]);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}

/// SHA-256 of the canonical JSON, lowercase hex.
pub fn digest(value: &Value) -> String {
    hex(&Sha256::digest(to_string(value).as_bytes()))
}

/// Lowercase hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_does_not_matter() {
        let one: Value = serde_json::from_str(r#"{"b":[1,{"d":null,"c":"x\"y"}],"a":true}"#).unwrap();
        assert_eq!(to_string(&one), r#"{"a":true,"b":[1,{"c":"x\"y","d":null}]}"#);
        assert_eq!(digest(&one), digest(&json!({"a": true, "b": [1, {"c": "x\"y", "d": null}]})));
    }

    #[test]
    fn digest_is_sha256_of_the_text() {
        assert_eq!(digest(&json!({})), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
