//! What stands around every answer, outermost first, as one layer of the router: it copies each of its layers, with all that is below
//! it, for every request.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::headers::ByTls;
use super::{headers, problem, request_id, request_log};

pub async fn layer(State(tls): State<ByTls>, request: Request, next: Next) -> Response {
    let problem = |request: Request| problem::layer(request, |request| next.run(request));
    let headers = |request: Request| headers::layer(tls, request, problem);
    let log = |request: Request| request_log::layer(request, headers);
    request_id::layer(request, log).await
}
