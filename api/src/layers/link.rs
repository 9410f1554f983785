//! Media that browsers fetch by themselves: a signed, expiring link opens exactly the path it signs, for
//! reading; without one the key is asked for as anywhere else.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::caller::Caller;
use crate::layers::api_key;
use crate::state::AppState;

pub async fn link_or_key(state: State<AppState>, mut request: Request, next: Next) -> Response {
    let Some(signed) = crate::links::Signed::of(request.uri()) else {
        return api_key::by_method(state, request, next).await;
    };
    if !api_key::is_read(request.method()) {
        return api_key::by_method(state, request, next).await;
    }
    if let Err(error) = state.links.verify(request.uri().path(), &signed, state.clock.now()) {
        return error.into_response();
    }
    let caller = Caller::by_link();
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(caller);
    response
}

/// The provider's door: nothing but a signed link opens it.
pub async fn link_only(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let signed = crate::links::Signed::of(request.uri()).unwrap_or_default();
    match state.links.verify(request.uri().path(), &signed, state.clock.now()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
