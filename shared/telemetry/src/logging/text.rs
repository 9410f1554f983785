//! A line for people: time, level, words, then `name=value`.

use std::fmt::Write;

use tracing::Level;

use super::json::now;
use super::lines::Line;
use super::values::Value;

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

pub(super) fn of(line: &Line<'_>, colour: bool) -> String {
    let (dim, plain) = if colour { (DIM, PLAIN) } else { ("", "") };
    let level = if colour { colour_of(line.level) } else { "" };
    let mut out = String::with_capacity(160);
    // Writing to a string cannot fail.
    write!(out, "{dim}{}{plain} {level}{:>5}{plain} {}", now(), line.level, one_line(line.message)).ok();
    for (name, value) in &line.fields {
        write!(out, " {dim}{name}={plain}").ok();
        match value {
            Value::Text(text) if is_bare(text) => out.push_str(text),
            Value::Text(text) => write!(out, "{text:?}").unwrap_or_default(),
            Value::Int(number) => write!(out, "{number}").unwrap_or_default(),
            Value::Uint(number) => write!(out, "{number}").unwrap_or_default(),
            Value::Float(number) => write!(out, "{number:.1}").unwrap_or_default(),
            Value::Bool(yes) => write!(out, "{yes}").unwrap_or_default(),
        }
    }
    out.push('\n');
    out
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
fn one_line(text: &str) -> String {
    if text.contains(char::is_control) {
        text.chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect()
    } else {
        text.to_owned()
    }
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'))
}
