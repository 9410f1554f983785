//! The key check. It stands around whole lists of routes, so that a new route is closed by where it is put.
//! No key is configured by default: without one in the database nobody gets in.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use spool_db::keys::{self, KeyToken, Scope};

use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
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
    match identify(state, request.headers()).await.and_then(|caller| allow(caller, needed)) {
        Ok(caller) => {
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
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
    let token = KeyToken::parse(presented).ok_or_else(refused)?;
    let key = keys::authenticate(&mut *state.db.read().await?, &token).await?.ok_or_else(refused)?;
    if key.unseen {
        let mut transaction = state.db.begin().await?;
        keys::note_use(&mut transaction, &key.id).await?;
        commit(transaction).await?;
    }
    Ok(Caller { scope: key.highest_scope(), key_id: key.id, client: key.client_id })
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
