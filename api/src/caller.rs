//! Who asks: put into the request by `layers::api_key` or `layers::link`, taken out by handlers.

use std::num::NonZeroU32;

use axum::extract::FromRequestParts;
use http::request::Parts;
use spool_db::keys::Scope;
use uuid::Uuid;

use crate::error::ApiError;

/// The key (or the signed link) a request came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key's public id; `link` for a signed link.
    pub key_id: String,
    /// What the key may do; a higher scope holds the lower ones.
    pub scope: Scope,
    /// The client that the key is bound to: it sees nothing of others. `None` sees all.
    pub client: Option<Uuid>,
    /// Requests a minute, when the key has a rate of its own.
    pub per_minute: Option<NonZeroU32>,
}

impl Caller {
    /// A valid signed link: it grants exactly the path that it signs, for reading.
    pub fn by_link() -> Self {
        Self { key_id: "link".to_owned(), scope: Scope::Read, client: None, per_minute: None }
    }

    pub fn may(&self, needed: Scope) -> bool {
        self.scope >= needed
    }

    /// The client that something new belongs to, given the one that the request names.
    /// A bound key naming somebody else's client is told that there is no such client.
    pub fn claim_client(&self, named: Option<Uuid>) -> Result<Option<Uuid>, ApiError> {
        match (self.client, named) {
            (Some(own), Some(named)) if own != named => Err(ApiError::not_found("client", named)),
            (own, named) => Ok(named.or(own)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // Absent only when a route was put into the wrong list of the router: closed, not open.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ApiError::internal("the route has no key check"))
    }
}
