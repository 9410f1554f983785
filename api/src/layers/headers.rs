//! Headers that every answer carries so that a browser does nothing clever with it: caller-supplied media
//! is never sniffed, framed, scripted or sent on as a referrer.

use std::future::Future;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
        ),
    ),
    // Signed links are made for `<img>` and `<video>` on the frontend's own origin.
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
];

/// Two years, as browsers' own lists ask; only this host, whose neighbours are not ours.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Whether callers reach us by `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByTls(pub bool);

pub async fn layer<F>(tls: ByTls, request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let mut response = next(request).await;
    let headers = response.headers_mut();
    if tls.0 {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    // What is not said to be cacheable holds somebody's data.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
