//! Turns each event into one line: what it says, and what the spans around it know (`job_id`, `request_id`). The innermost word on
//! a name counts.

use std::cell::RefCell;
use std::io::Write;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::moment::Moment;
use super::outlet::Outlet;
use super::values::{Value, Values};
use super::{json, text};

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Json,
    Text { colour: bool },
}

/// Writes the lines of a process.
pub(super) struct Lines<W> {
    shape: Shape,
    outlet: Outlet<W>,
}

/// What a thread makes its lines with: they come by the thousand, and memory is not asked for each time.
#[derive(Default)]
struct Desk {
    moment: Moment,
    own: Values,
    told: Vec<&'static str>,
    line: Vec<u8>,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

impl<W> Lines<W> {
    pub(super) const fn new(shape: Shape, outlet: Outlet<W>) -> Self {
        Self { shape, outlet }
    }

    /// Puts the line of an event together on the desk.
    fn make<S>(&self, desk: &mut Desk, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Desk { moment, own, told, line } = desk;
        own.clear();
        told.clear();
        line.clear();
        event.record(own);
        let (now, level) = (moment.now(), *event.metadata().level());
        let target = own.target().unwrap_or(event.metadata().target());
        match self.shape {
            Shape::Json => json::begin(line, now, level, target, own.message()),
            Shape::Text { colour } => text::begin(line, now, level, own.message(), colour),
        }
        self.add(line, told, own);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(values) = span.extensions().get::<Values>() {
                self.add(line, told, values);
            }
        }
        match self.shape {
            Shape::Json => json::end(line),
            Shape::Text { .. } => text::end(line),
        }
    }

    fn add(&self, line: &mut Vec<u8>, told: &mut Vec<&'static str>, values: &Values) {
        // Among themselves their names are different.
        let before = told.len();
        for (name, value) in values.fields() {
            if !told[..before].contains(&name) {
                told.push(name);
                self.add_field(line, name, value);
            }
        }
    }

    fn add_field(&self, line: &mut Vec<u8>, name: &str, value: Value<&str>) {
        match self.shape {
            Shape::Json => json::field(line, name, value),
            Shape::Text { colour } => text::field(line, name, value, colour),
        }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut values = Values::for_fields(attributes.fields().len());
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
        let is_urgent = *event.metadata().level() <= Level::WARN;
        let write = |desk: &mut Desk| {
            self.make(desk, event, &context);
            self.outlet.line(&desk.line, is_urgent);
        };
        // A value may say something itself while it is told, and a thread that ends has no desk any more.
        let is_written = DESK.try_with(|desk| desk.try_borrow_mut().map(|mut desk| write(&mut desk)).is_ok());
        if !is_written.unwrap_or(false) {
            write(&mut Desk::default());
        }
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
        let layer = Lines::new(shape, Outlet::at_once(kept.clone()));
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
        tracing::warn!(count = 2_u64, "odd \"name\"" = 1, "with Bearer abcdef");
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
        assert_eq!((&line["outcome"], &line["odd \"name\""]), (&"?".into(), &1.into()));
    }

    #[test]
    fn a_text_line_is_one_line() {
        let lines = lines(Shape::Text { colour: false }, some_lines);
        assert_eq!(lines.len(), 2);
        let wanted = r#" INFO it "ended"\nwell error="get https://a.example/[redacted]" outcome=done job_id=17 trace_id=abc"#;
        assert!(lines[0].ends_with(wanted), "{}", lines[0]);
    }
}
