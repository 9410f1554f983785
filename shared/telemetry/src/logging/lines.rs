//! Turns each event into one line: what it says, and what the spans around it know (`job_id`, `request_id`). The innermost word on
//! a name counts.

use std::io::Write;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::values::{Value, Values};
use super::{json, text};

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Json,
    Text { colour: bool },
}

/// One line, before it has a shape.
pub(super) struct Line<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: &'a str,
    pub(super) fields: Vec<(&'static str, &'a Value)>,
}

/// Writes the lines of a process.
pub(super) struct Lines<W> {
    shape: Shape,
    out: W,
}

impl<W> Lines<W> {
    pub(super) fn new(shape: Shape, out: W) -> Self {
        Self { shape, out }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut values = Values::default();
        attributes.record(&mut values);
        span.extensions_mut().insert(values);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(values) = span.extensions_mut().get_mut::<Values>() {
            record.record(values);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Values::default();
        event.record(&mut own);
        let spans: Vec<_> = context.event_scope(event).into_iter().flatten().collect();
        let extensions: Vec<_> = spans.iter().map(|span| span.extensions()).collect();
        let around = extensions.iter().filter_map(|extensions| extensions.get::<Values>());
        let mut fields: Vec<(&'static str, &Value)> = Vec::with_capacity(16);
        for (name, value) in std::iter::once(&own).chain(around).flat_map(|values| &values.fields) {
            if !fields.iter().any(|(known, _)| known == name) {
                fields.push((name, value));
            }
        }
        let metadata = event.metadata();
        let line = Line {
            level: *metadata.level(),
            target: own.target.as_deref().unwrap_or(metadata.target()),
            message: own.message.as_deref().unwrap_or_default(),
            fields,
        };
        let text = match self.shape {
            Shape::Json => json::of(&line),
            Shape::Text { colour } => text::of(&line, colour).into_bytes(),
        };
        // One write a line, so that lines of threads do not mix. Who cannot write a log line has nobody to tell.
        self.out.make_writer().write_all(&text).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(shape: Shape, act: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let out = kept.clone();
        let layer = Lines::new(shape, move || out.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    fn some_lines() {
        let span = tracing::error_span!("run", job_id = 17, outcome = "?", trace_id = tracing::field::Empty);
        let _in = span.enter();
        span.record("trace_id", "abc");
        let cause = std::io::Error::other("get https://a.example/x?sig=1");
        tracing::info!(error = &cause as &dyn std::error::Error, outcome = "done", "it \"ended\"\nwell");
        tracing::warn!(count = 2_u64, "with Bearer abcdef");
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let lines = lines(Shape::Json, some_lines);
        assert_eq!(lines.len(), 2);
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["message"], "it \"ended\"\nwell");
        assert_eq!((&line["level"], &line["job_id"]), (&"INFO".into(), &17.into()));
        assert_eq!(
            (&line["outcome"], &line["trace_id"]),
            (&"done".into(), &"abc".into()),
            "the innermost counts"
        );
        assert_eq!(line["error"], "get https://a.example/[redacted]");
        let line: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!((&line["message"], &line["count"]), (&"with Bearer [redacted]".into(), &2.into()));
        assert_eq!(line["outcome"], "?");
    }

    #[test]
    fn a_text_line_is_one_line() {
        let lines = lines(Shape::Text { colour: false }, some_lines);
        assert_eq!(lines.len(), 2);
        let wanted = r#" INFO it "ended"\nwell error="get https://a.example/[redacted]" outcome=done job_id=17 trace_id=abc"#;
        assert!(lines[0].ends_with(wanted), "{}", lines[0]);
    }
}
