//! `ApiQuery<T>`: the query string in either casing.

use axum::extract::{FromRequestParts, Query};
use http::Uri;
use http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::error::{ApiError, Code};
use crate::extract::casing;

#[derive(Debug)]
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    if query.is_empty() {
        return read(&Uri::from_static("/"));
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if value.contains('\0') {
            return Err(refused("it holds a NUL character"));
        }
        let name = casing::to_snake(&name);
        // An empty value is an absent one: forms send `?client_id=`.
        if !value.is_empty() && !pairs.iter().any(|(known, _)| *known == name) {
            pairs.push((name, value.into_owned()));
        }
    }
    let tidy = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let uri = Uri::builder()
        .path_and_query(format!("/?{tidy}"))
        .build()
        .map_err(|error| refused(&error.to_string()))?;
    read(&uri)
}

fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    match Query::<T>::try_from_uri(uri) {
        Ok(Query(value)) => Ok(value),
        Err(rejection) => Err(refused(&rejection.body_text())),
    }
}

fn refused(why: &str) -> ApiError {
    ApiError::bad_request(Code::InvalidQuery, format!("the query string is not valid: {why}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Page {
        limit: Option<i64>,
        client_id: Option<String>,
    }

    #[test]
    fn either_casing_first_one_wins_empty_is_absent() {
        let page = |limit, client: Option<&str>| Page { limit, client_id: client.map(str::to_owned) };
        for (query, wanted) in [
            ("", page(None, None)),
            ("limit=5&clientId=a", page(Some(5), Some("a"))),
            ("client_id=a&clientId=b", page(None, Some("a"))),
            ("client_id=&limit=", page(None, None)),
            ("client_id=a%26b&other=1", page(None, Some("a&b"))),
        ] {
            assert_eq!(parse::<Page>(query).expect("is valid"), wanted, "{query}");
        }
        assert_eq!(parse::<Page>("limit=x").expect_err("is no number").code(), Code::InvalidQuery);
        assert_eq!(parse::<Page>("client_id=%00").expect_err("has NUL").code(), Code::InvalidQuery);
    }
}
