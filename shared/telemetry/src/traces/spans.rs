//! Spans that are open while something is done. Where traces are off nothing here does anything.

use std::fmt::Display;
use std::future::Future;

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, Value};
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{families, is_on, w3c};

/// What a span has to do with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers a request.
    Server,
    /// Makes one.
    Client,
    /// Enqueues.
    Producer,
    /// Does what was enqueued.
    Consumer,
    /// Anything else.
    Internal,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::Internal => "internal",
        }
    }
}

/// Makes a span that log lines hang on the first of its trace in this process: below `parent`, or a new trace. It must have the empty
/// fields `otel.name`, `otel.kind` and `trace_id`, and not have been entered yet.
pub fn open(span: &Span, kind: Kind, name: &str, parent: Option<&str>) {
    if !is_on() {
        return;
    }
    span.record("otel.name", name);
    span.record("otel.kind", kind.as_str());
    let parent = parent.and_then(w3c::read);
    let around = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
    span.set_parent(around).ok();
    let context = span.context();
    let context = context.span().span_context().clone();
    if context.is_valid() {
        span.record("trace_id", tracing::field::display(context.trace_id()));
    }
}

/// A span below the current one.
pub fn child(kind: Kind, name: impl Display) -> Span {
    if !is_on() {
        return Span::none();
    }
    tracing::error_span!("part", otel.name = %name, otel.kind = kind.as_str())
}

/// The work, in a span of its own below the current one.
pub fn during<F: Future>(name: &'static str, work: F) -> Instrumented<F> {
    work.instrument(child(Kind::Internal, name))
}

/// Adds an attribute: an id, a word or a number.
pub fn note(span: &Span, name: &'static str, value: impl Into<Value>) {
    if is_on() {
        span.set_attribute(name, value.into());
    }
}

/// What the span stands for went wrong; `class` is the word that errors are grouped by.
pub fn fail(span: &Span, class: &str) {
    if is_on() {
        span.set_attribute("error.type", class.to_owned());
        span.set_status(Status::error(class.to_owned()));
    }
}

/// Another span has to do with this one.
pub fn link(span: &Span, other: &str) {
    if let Some(other) = is_on().then(|| w3c::read(other)).flatten() {
        span.add_link(other);
    }
}

/// The span is not worth sending, nor is what is below it.
pub fn leave_out(span: &Span) {
    if is_on() {
        span.set_attribute(families::LEFT_OUT, true);
    }
}

/// The current span, for whoever goes on from here in another process.
pub fn current() -> Option<String> {
    if !is_on() {
        return None;
    }
    w3c::write(Span::current().context().span().span_context())
}
