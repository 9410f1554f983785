//! A line for people: time, level, words, then `name=value`.

use std::borrow::Cow;
use std::io::Write;

use tracing::Level;

use super::values::Value;

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Of a line with or without colours.
const fn marks(colour: bool) -> (&'static str, &'static str) {
    if colour { (DIM, PLAIN) } else { ("", "") }
}

// Writing to memory cannot fail.
pub(super) fn begin(out: &mut Vec<u8>, now: &str, level: Level, message: &str, colour: bool) {
    let (dim, plain) = marks(colour);
    let paint = if colour { colour_of(level) } else { "" };
    write!(out, "{dim}{now}{plain} {paint}{level:>5}{plain} {}", one_line(message)).ok();
}

pub(super) fn field(out: &mut Vec<u8>, name: &str, value: Value<&str>, colour: bool) {
    let (dim, plain) = marks(colour);
    write!(out, " {dim}{name}={plain}").ok();
    match value {
        Value::Text(text) if is_bare(text) => out.extend_from_slice(text.as_bytes()),
        Value::Text(text) => write!(out, "{text:?}").unwrap_or_default(),
        Value::Int(number) => write!(out, "{number}").unwrap_or_default(),
        Value::Uint(number) => write!(out, "{number}").unwrap_or_default(),
        Value::Float(number) => write!(out, "{number:.1}").unwrap_or_default(),
        Value::Bool(yes) => write!(out, "{yes}").unwrap_or_default(),
    }
}

pub(super) fn end(out: &mut Vec<u8>) {
    out.push(b'\n');
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Control characters could write lines of their own, or move the cursor.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect()
    } else {
        Cow::Borrowed(text)
    }
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'))
}
