//! Logs go to standard error, as JSON lines for machines or as text for a person at a terminal. Names of fields stand in
//! [`crate::fields`], and every text passes [`crate::redact`].
//!
//! Standard output belongs to what a program answers: a readiness line, a table, a document.

mod each_time;
mod json;
mod level;
mod lines;
mod moment;
mod outlet;
mod text;
mod values;

use std::io::IsTerminal;
use std::time::Duration;

use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::redact;
use crate::traces::Traces;
use lines::{Lines, Shape};
use outlet::Outlet;

pub use level::{BadFilter, change, check, follow};
pub use outlet::Kept;

/// How a log line looks. Every program takes it as `SPOOL_LOG_FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON anywhere else.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl LogFormat {
    fn shape(self, stderr_is_terminal: bool) -> Shape {
        match self {
            Self::Json => Shape::Json,
            Self::Auto if !stderr_is_terminal => Shape::Json,
            Self::Auto | Self::Text => Shape::Text { colour: stderr_is_terminal },
        }
    }
}

/// A duration as lines tell it: in milliseconds, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// Installs the log subscriber of this process, and the spans of its traces. A second call changes nothing, so tests may call it
/// freely. What it returns is to be held until the program ends.
///
/// A `RUST_LOG` that cannot be parsed is reported as the first log line, and the default filter holds.
pub fn init(format: LogFormat, traces: &Traces) -> Kept {
    redact::keep_out_environment();
    let shape = format.shape(std::io::stderr().is_terminal());
    let (filter, switch, bad_filter) = level::at_start();
    let outlet = Outlet::at_once(std::io::stderr());
    let lines = Lines::new(shape, outlet.again()).with_filter(filter);
    let installed = tracing_subscriber::registry().with(lines).with(traces.layer()).try_init();
    if installed.is_err() {
        return Kept::nothing();
    }
    level::keep(switch);
    tell_panics();
    if let Some(error) = bad_filter {
        tracing::warn!(%error, "RUST_LOG cannot be read and is ignored");
    }
    // A person at a terminal sees each line when it is made, beside what the program says otherwise.
    if shape == Shape::Json { outlet.keep() } else { Kept::nothing() }
}

/// A panic is a line like any other: its words may repeat what a caller sent.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let error = panic.payload_as_str().unwrap_or("a panic without a message");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(error, location, "panicked");
    }));
}

#[cfg(test)]
mod tests {
    use super::LogFormat;
    use super::lines::Shape;

    #[test]
    fn auto_follows_the_terminal_and_the_others_do_not() {
        let text = |colour| Shape::Text { colour };
        for (format, terminal, wanted) in [
            (LogFormat::Auto, true, text(true)),
            (LogFormat::Auto, false, Shape::Json),
            (LogFormat::Json, true, Shape::Json),
            (LogFormat::Text, false, text(false)),
        ] {
            assert_eq!(format.shape(terminal), wanted, "{format:?} on a terminal: {terminal}");
        }
    }
}
