//! Where the API's metrics are counted. They are declared, with their meaning, in `spool_telemetry::names`.

use std::time::Duration;

use http::Method;
use spool_telemetry::names;

/// A request whose answer has begun. `route` is the pattern, never the path.
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
    let (route, status) = (route.to_owned(), status.to_string());
    metrics::counter!(names::HTTP_REQUESTS, "route" => route.clone(), "method" => method, "status" => status)
        .increment(1);
    metrics::histogram!(names::HTTP_REQUEST_SECONDS, "route" => route, "method" => method)
        .record(elapsed.as_secs_f64());
}

/// Media that came in.
pub fn bytes_in(count: u64) {
    metrics::counter!(names::MEDIA_BYTES, "direction" => "in").increment(count);
}

/// Media that went out.
pub fn bytes_out(count: u64) {
    metrics::counter!(names::MEDIA_BYTES, "direction" => "out").increment(count);
}

/// What came of a request with an `Idempotency-Key`: `new`, `replayed`, `conflict` or `mismatch`.
pub fn idempotency(result: &'static str) {
    metrics::counter!(names::IDEMPOTENCY, "result" => result).increment(1);
}

/// Where the answer to a status poll came from: `hit`, `joined`, `revalidated` or `miss`.
pub fn status_cache(result: &'static str) {
    metrics::counter!(names::STATUS_CACHE, "result" => result).increment(1);
}

/// Counts an open stream for as long as it lives.
#[derive(Debug)]
pub struct OpenStream(&'static str);

impl OpenStream {
    /// `events` or `wait`.
    pub fn new(kind: &'static str) -> Self {
        metrics::gauge!(names::HTTP_STREAMS, "kind" => kind).increment(1.0);
        Self(kind)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        metrics::gauge!(names::HTTP_STREAMS, "kind" => self.0).decrement(1.0);
    }
}
