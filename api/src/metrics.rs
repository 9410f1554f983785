//! The API's own metrics, all in one place. `route` is the pattern, never the path.

use std::time::Duration;

use http::Method;

/// Requests answered, by method, route pattern and status.
const REQUESTS: &str = "spool_http_requests_total";
/// From the first byte of the request to the head of the answer.
const SECONDS: &str = "spool_http_request_duration_seconds";
/// Requests whose answer has not begun.
const IN_FLIGHT: &str = "spool_http_requests_in_flight";
/// Webhooks that came, by what was done with them.
const WEBHOOKS: &str = "spool_http_webhooks_total";

pub fn request_done(method: &Method, route: &str, status: u16, elapsed: Duration) {
    // Anybody may send any method: only the usual ones become labels.
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    };
    metrics::counter!(REQUESTS, "method" => method, "route" => route.to_owned(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!(SECONDS, "method" => method, "route" => route.to_owned()).record(elapsed.as_secs_f64());
}

pub fn webhook(outcome: &'static str) {
    metrics::counter!(WEBHOOKS, "outcome" => outcome).increment(1);
}

/// Counts one request while it lives, also when its caller goes away.
pub struct InFlight(());

impl InFlight {
    pub fn enter() -> Self {
        metrics::gauge!(IN_FLIGHT).increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!(IN_FLIGHT).decrement(1.0);
    }
}
