//! Whoever changes a job through this process sees the change at once: what is kept of the job is forgotten before the answer goes out.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::layers::idempotency;
use crate::state::AppState;

pub async fn layer(state: &AppState, request: Request, next: Next) -> Response {
    let changed = job_of(request.uri().path());
    let response = idempotency::layer(state, request, next).await;
    if let Some(job) = changed {
        state.feed.heard(job);
    }
    response
}

/// The job that a path is about.
fn job_of(path: &str) -> Option<i64> {
    let mut parts = path.split('/').skip_while(|part| *part != "jobs");
    parts.next()?;
    parts.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_stands_after_its_list() {
        for (path, wanted) in [
            ("/api/v3/jobs/17", Some(17)),
            ("/api/v3/jobs/17/scenes/x", Some(17)),
            ("/api/v3/jobs/retry", None),
            ("/api/v3/jobs", None),
            ("/api/v3/clients/17", None),
        ] {
            assert_eq!(job_of(path), wanted, "{path}");
        }
    }
}
