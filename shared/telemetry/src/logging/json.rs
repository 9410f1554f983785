//! A line as one flat JSON object.

use std::io::Write;

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::lines::Line;
use super::values::Value;

pub(super) fn of(line: &Line<'_>) -> String {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"timestamp\":");
    text(&mut out, &now());
    for (name, value) in [("level", line.level.as_str()), ("target", line.target), ("message", line.message)]
    {
        key(&mut out, name);
        text(&mut out, value);
    }
    for (name, value) in &line.fields {
        key(&mut out, name);
        match value {
            Value::Text(value) => text(&mut out, value),
            Value::Int(value) => write!(out, "{value}").unwrap_or_default(),
            Value::Uint(value) => write!(out, "{value}").unwrap_or_default(),
            // JSON has no infinity.
            Value::Float(value) if value.is_finite() => write!(out, "{value}").unwrap_or_default(),
            Value::Float(_) => out.extend_from_slice(b"null"),
            Value::Bool(value) => write!(out, "{value}").unwrap_or_default(),
        }
    }
    out.extend_from_slice(b"}\n");
    String::from_utf8(out).unwrap_or_default()
}

/// The time of the line, UTC.
pub(super) fn now() -> String {
    let mut text = String::with_capacity(32);
    SystemTime.format_time(&mut Writer::new(&mut text)).ok();
    text
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    text(out, name);
    out.push(b':');
}

fn text(out: &mut Vec<u8>, value: &str) {
    // Writing to memory cannot fail, and any text is JSON.
    serde_json::to_writer(out, value).ok();
}
