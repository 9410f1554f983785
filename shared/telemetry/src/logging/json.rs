//! A line as one flat JSON object.

use serde::Serialize;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::lines::Line;
use super::values::Value;

/// The line of an attempt is a little shorter.
const USUAL_BYTES: usize = 512;

pub(super) fn of(line: &Line<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    out.extend_from_slice(b"{\"timestamp\":");
    put(&mut out, now().as_str());
    for (name, value) in [("level", line.level.as_str()), ("target", line.target), ("message", line.message)]
    {
        key(&mut out, name);
        put(&mut out, value);
    }
    for (name, value) in &line.fields {
        key(&mut out, name);
        match value {
            Value::Text(value) => put(&mut out, value.as_str()),
            Value::Int(value) => put(&mut out, value),
            Value::Uint(value) => put(&mut out, value),
            // JSON has no infinity: it is null.
            Value::Float(value) => put(&mut out, value),
            Value::Bool(value) => put(&mut out, value),
        }
    }
    out.extend_from_slice(b"}\n");
    out
}

/// The time of the line, UTC.
pub(super) fn now() -> String {
    let mut text = String::with_capacity(32);
    SystemTime.format_time(&mut Writer::new(&mut text)).ok();
    text
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    put(out, name);
    out.push(b':');
}

fn put(out: &mut Vec<u8>, value: impl Serialize) {
    // Writing to memory cannot fail, and text and numbers are JSON.
    serde_json::to_writer(out, &value).ok();
}
