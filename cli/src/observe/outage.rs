//! The simulated provider fails for a while: every answer of it is an error.

use reqwest::{Client, Response};
use serde_json::json;

/// Every group of calls that workers make.
const ROUTES: [&str; 4] = ["create", "get", "list", "cancel"];

/// The simulator does not listen to its controls.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutageError {
    #[error("cannot {doing} at the simulator")]
    Controls { doing: &'static str, source: reqwest::Error },
}

/// From now on every call is answered with 503.
pub(crate) async fn begin(client: &Client, simulator: &str) -> Result<(), OutageError> {
    let unavailable = json!({"kind": "http_error", "status": 503, "when": "before"});
    let rules: Vec<_> = ROUTES
        .into_iter()
        .map(|route| json!({"match": {"route": route}, "times": "always", "fault": unavailable}))
        .collect();
    checked("begin the outage", client.post(controls(simulator)).json(&rules).send().await)
}

/// All is well there again.
pub(crate) async fn end(client: &Client, simulator: &str) -> Result<(), OutageError> {
    checked("end the outage", client.delete(controls(simulator)).send().await)
}

fn controls(simulator: &str) -> String {
    format!("{simulator}/_sim/faults")
}

fn checked(doing: &'static str, answer: reqwest::Result<Response>) -> Result<(), OutageError> {
    let failed = |source| OutageError::Controls { doing, source };
    answer.and_then(Response::error_for_status).map(drop).map_err(failed)
}
