//! The key check. It stands around whole lists of routes, so that a new route is closed by where it is put.
//! No key is configured by default: without one in the database nobody gets in.
//!
//! What stands around every request is kept small: a branch that few take is a future of its own on the heap, or each request would ask
//! for the memory of the largest, and move it about.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use spool_db::audit::Change;
use spool_db::keys::{self, Authenticated, KeyToken, Scope};

use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::layers::own_writes;
use crate::layers::request_id::RequestId;
use crate::state::AppState;

/// Reading needs `read`, everything else `write`.
pub async fn by_method(state: State<AppState>, request: Request, next: Next) -> Response {
    let needed = if is_read(request.method()) { Scope::Read } else { Scope::Write };
    check(&state, request, next, needed).await
}

/// Whatever the method, the key must have `admin`.
pub async fn admin(state: State<AppState>, request: Request, next: Next) -> Response {
    check(&state, request, next, Scope::Admin).await
}

async fn check(state: &AppState, mut request: Request, next: Next, needed: Scope) -> Response {
    let identified = identify(state, request.headers()).await;
    match identified.and_then(|caller| within_rate(state, caller)).and_then(|caller| allow(caller, needed)) {
        Ok(caller) => {
            request.extensions_mut().insert(caller.clone());
            let mut response = if is_read(request.method()) {
                next.run(request).await
            } else {
                // It is noted, what it changes is seen here at once, and one that comes again is answered as before.
                let change = change(&caller, &request);
                Box::pin(audit::noting(change, own_writes::layer(state, request, next))).await
            };
            response.extensions_mut().insert(caller);
            response
        }
        Err(error) => error.into_response(),
    }
}

/// Finds the key that the headers name and checks its secret, expiry and revocation.
pub async fn identify(state: &AppState, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let Some(presented) = presented(headers) else {
        return Err(ApiError::unauthorized(
            Code::Unauthorized,
            "a key is needed: send it as header x-api-key or as authorization: Bearer",
        ));
    };
    let token =
        KeyToken::parse(presented).or_else(|| KeyToken::of_older_system(presented)).ok_or_else(refused)?;
    let key = match state.key_cache.get(&token) {
        Some(key) => key,
        None => Box::pin(authenticate(state, &token)).await?,
    };
    let per_minute =
        key.requests_per_minute.and_then(|count| u32::try_from(count).ok()).and_then(NonZeroU32::new);
    Ok(Caller { scope: key.highest_scope(), key_id: key.id.clone(), client: key.client_id, per_minute })
}

async fn authenticate(state: &AppState, token: &KeyToken) -> Result<Arc<Authenticated>, ApiError> {
    let asked = Instant::now();
    let key = keys::authenticate(&mut *state.db.read().await?, token).await?.ok_or_else(refused)?;
    if key.unseen {
        let mut transaction = state.db.begin().await?;
        keys::note_use(&mut transaction, &key.id).await?;
        commit(transaction).await?;
    }
    let key = Arc::new(key);
    state.key_cache.keep(token, asked, Arc::clone(&key));
    Ok(key)
}

/// Counted before the scope is looked at: refused requests cost something, too.
fn within_rate(state: &AppState, caller: Caller) -> Result<Caller, ApiError> {
    match state.key_rates.take(&caller.key_id, caller.per_minute) {
        Ok(()) => Ok(caller),
        Err(wait) => Err(ApiError::too_many(wait.as_secs() + 1)),
    }
}

/// What is noted if this request changes something.
fn change(caller: &Caller, request: &Request) -> Change {
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| path.clone(), |route| route.as_str().to_owned());
    Change {
        key_id: caller.key_id.clone(),
        client_id: caller.client,
        request_id: RequestId::of(request).as_ref().to_owned(),
        method: request.method().to_string(),
        route,
        path,
        about: serde_json::json!({}),
    }
}

fn allow(caller: Caller, needed: Scope) -> Result<Caller, ApiError> {
    if caller.may(needed) {
        return Ok(caller);
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        Code::Forbidden,
        format!("this key lacks the scope {}", needed.as_str()),
    ))
}

pub fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok();
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Unknown, wrong, expired and revoked look the same from outside.
fn refused() -> ApiError {
    ApiError::unauthorized(Code::Unauthorized, "this key is not valid")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_key_comes_in_either_header() {
        for (name, value, wanted) in [
            ("x-api-key", "spool_a_b", Some("spool_a_b")),
            ("authorization", "Bearer spool_a_b", Some("spool_a_b")),
            ("authorization", "bearer  spool_a_b", Some("spool_a_b")),
            ("authorization", "Basic spool_a_b", None),
            ("authorization", "spool_a_b", None),
            ("cookie", "spool_a_b", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(presented(&headers), wanted, "{name}: {value}");
        }
    }
}
