//! A line as one flat JSON object.

use serde::Serialize;
use tracing::Level;

use super::values::Value;

/// Opens it with what every line has.
pub(super) fn begin(out: &mut Vec<u8>, now: &str, level: Level, target: &str, message: &str) {
    for part in ["{\"timestamp\":\"", now, "\",\"level\":\"", level.as_str(), "\",\"target\":"] {
        out.extend_from_slice(part.as_bytes());
    }
    put(out, target);
    out.extend_from_slice(b",\"message\":");
    put(out, message);
}

pub(super) fn field(out: &mut Vec<u8>, name: &str, value: Value<&str>) {
    out.push(b',');
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) {
        // Nearly all: nothing in it needs another spelling.
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
    } else {
        put(out, name);
        out.push(b':');
    }
    match value {
        Value::Text(value) => put(out, value),
        Value::Int(value) => put(out, &value),
        Value::Uint(value) => put(out, &value),
        // JSON has no infinity: it is null.
        Value::Float(value) => put(out, &value),
        Value::Bool(value) => put(out, &value),
    }
}

pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing to memory cannot fail, and text and numbers are JSON.
    serde_json::to_writer(out, value).ok();
}
