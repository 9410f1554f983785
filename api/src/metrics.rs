//! Where the API's metrics are counted. They are declared, with their meaning, in `spool_telemetry::vocabulary`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use http::Method;
use metrics::{Counter, Histogram};
use spool_telemetry::names;

/// An answer that was held until there was news: its time says nothing of how quick we are.
#[derive(Debug, Clone, Copy)]
pub struct Held;

/// A request whose answer has begun. `route` is the pattern, never the path; `elapsed` is none for what was held.
pub fn request_done(method: &Method, route: &str, status: u16, elapsed: Option<Duration>) {
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
    SERIES.with_borrow_mut(|series| {
        let of_route = match series.get_mut(route) {
            Some(of_route) => of_route,
            None => series.entry(route.to_owned()).or_default(),
        };
        let known = of_route.iter().position(|one| one.method == method && one.status == status);
        let at = known.unwrap_or_else(|| {
            of_route.push(Series::new(route, method, status));
            of_route.len() - 1
        });
        of_route[at].requests.increment(1);
        if let Some(elapsed) = elapsed {
            of_route[at].seconds.record(elapsed.as_secs_f64());
        }
    });
}

thread_local! {
    /// By route: to find a series by its labels takes longer than to count in it. There are few routes, methods and statuses.
    static SERIES: RefCell<HashMap<String, Vec<Series>>> = RefCell::default();
}

struct Series {
    method: &'static str,
    status: u16,
    requests: Counter,
    seconds: Histogram,
}

impl Series {
    fn new(route: &str, method: &'static str, status: u16) -> Self {
        let (route, code) = (route.to_owned(), status.to_string());
        Self {
            method,
            status,
            requests: metrics::counter!(names::HTTP_REQUESTS, "route" => route.clone(), "method" => method, "status" => code),
            seconds: metrics::histogram!(names::HTTP_REQUEST_SECONDS, "route" => route, "method" => method),
        }
    }
}

/// How long a request waited for a connection.
pub fn waited_for_connection(begin: Instant) {
    metrics::histogram!(names::DB_WAIT_SECONDS).record(begin.elapsed());
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
    /// Shows that there are none, before there was one.
    pub fn show() {
        for kind in ["events", "wait"] {
            metrics::gauge!(names::HTTP_STREAMS, "kind" => kind).increment(0.0);
        }
    }

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
