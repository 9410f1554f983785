//! A span that is told when it is over: a time that no process watched, such as that at a provider.

use chrono::{DateTime, Utc};
use opentelemetry::trace::{Link, Span, SpanKind, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, Value, trace::TraceContextExt};

use super::{PROVIDER, SCOPE, w3c};

/// Such a span.
#[derive(Debug)]
#[must_use = "it is not told yet"]
pub struct Past {
    name: &'static str,
    parent: String,
    began: DateTime<Utc>,
    ended: DateTime<Utc>,
    attributes: Vec<KeyValue>,
    links: Vec<Link>,
}

impl Past {
    /// Below `parent`, from and until these moments.
    pub fn new(name: &'static str, parent: &str, began: DateTime<Utc>, ended: DateTime<Utc>) -> Self {
        Self { name, parent: parent.to_owned(), began, ended, attributes: Vec::new(), links: Vec::new() }
    }

    /// With an attribute: an id, a word or a number.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// With a span that it has to do with.
    pub fn linked_to(mut self, other: String) -> Self {
        self.links.extend(w3c::read(&other).map(Link::with_context));
        self
    }

    /// Tells it, and says where it stands; none where traces are off.
    pub fn tell(self) -> Option<String> {
        let tracer = PROVIDER.get()?.tracer(SCOPE);
        let parent = Context::new().with_remote_span_context(w3c::read(&self.parent)?);
        let mut span = tracer
            .span_builder(self.name)
            .with_kind(SpanKind::Internal)
            .with_start_time(self.began)
            .with_attributes(self.attributes)
            .with_links(self.links)
            .start_with_context(&tracer, &parent);
        let told = w3c::write(span.span_context());
        span.end_with_timestamp(self.ended.max(self.began).into());
        told
    }
}
