//! The request that is being answered, for what is enqueued on its behalf: see [`spool_job::origin`].

use std::sync::Arc;

use spool_job::origin::Origin;
use spool_telemetry::traces;

tokio::task_local! {
    static REQUEST: Arc<str>;
}

/// Answers the request with this id.
pub async fn within<F: Future>(request_id: Arc<str>, answer: F) -> F::Output {
    REQUEST.scope(request_id, answer).await
}

/// The request, and the span that this runs in; none outside of a request.
pub fn current() -> Option<Origin> {
    let request_id = REQUEST.try_with(|id| id.as_ref().to_owned()).ok()?;
    Some(Origin { request_id, trace_parent: traces::current() })
}
