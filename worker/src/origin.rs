//! The request that a run works for: what it enqueues goes on in its name, and what it leaves says by which span it was made.

use serde_json::Value;
use spool_job::origin::Origin;
use spool_queue::Run;
use spool_telemetry::traces;
use std::cell::Cell;

struct Behalf {
    origin: Option<Origin>,
    bought: Cell<bool>,
}

tokio::task_local! {
    static BEHALF: Behalf;
}

/// What a task leaves of its span, in its output.
const SPAN: &str = "trace_parent";

/// Runs in the name of a request.
pub(crate) async fn on_behalf<F: Future>(origin: Option<Origin>, work: F) -> F::Output {
    BEHALF.scope(Behalf { origin, bought: Cell::new(false) }, work).await
}

/// The request that this run works for.
pub(crate) fn current() -> Option<Origin> {
    BEHALF.try_with(|behalf| behalf.origin.clone()).ok().flatten()
}

/// This run has made a paid call: its span is kept, however it ends.
pub(crate) fn note_bought() {
    BEHALF.try_with(|behalf| behalf.bought.set(true)).ok();
}

/// Whether it has.
pub(crate) fn has_bought() -> bool {
    BEHALF.try_with(|behalf| behalf.bought.get()).unwrap_or(false)
}

/// The output of a task, with the span that made it, for those that are made of it.
pub(crate) fn signed(mut output: Value) -> Value {
    if let (Some(output), Some(span)) = (output.as_object_mut(), traces::current()) {
        output.insert(SPAN.to_owned(), span.into());
    }
    output
}

/// Links this run to those whose outputs it is made of. Costs a look at them, where traces are on.
pub(crate) async fn link_to_parents(run: &Run) {
    if !traces::is_on() {
        return;
    }
    // A link that is missing is no reason not to work.
    let Ok(parents) = run.parents().await else { return };
    let span = tracing::Span::current();
    for output in parents.iter().filter_map(|parent| parent.output.as_ref()) {
        if let Some(made_by) = output.get(SPAN).and_then(Value::as_str) {
            traces::link(&span, made_by);
        }
    }
}
