//! Every request has an id: the caller's when it is sane, else a new one. Every answer carries it.

use std::future::Future;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are not ids but luggage.
const LONGEST: usize = 128;

/// The id of this request, for logs and error bodies.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// Of a request; empty outside of the layer.
    pub fn of(request: &Request) -> Arc<str> {
        request.extensions().get::<Self>().map_or_else(|| Arc::from(""), |id| Arc::clone(&id.0))
    }
}

pub async fn layer<F>(mut request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let given = request.headers().get(&HEADER).and_then(|value| value.to_str().ok()).filter(|id| is_sane(id));
    let id: Arc<str> = given.map_or_else(|| Arc::from(Uuid::now_v7().to_string()), Arc::from);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let mut response = next(request).await;
    // Sane ids are visible ASCII, and so are ours.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response.extensions_mut().insert(RequestId(id));
    response
}

/// What may stand in a log line and in a header without doing harm.
fn is_sane(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= LONGEST
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids() {
        for (id, sane) in [
            ("0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", true),
            ("req_1.2:3", true),
            ("", false),
            ("a b", false),
            ("a\"}", false),
            (&"x".repeat(129), false),
        ] {
            assert_eq!(is_sane(id), sane, "{id}");
        }
    }
}
