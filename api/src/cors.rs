//! Which web pages may call the API from a browser. Keys travel in headers and never in cookies, so no page is given credentials.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

/// How long a browser may remember the answer.
const REMEMBERED: Duration = Duration::from_mins(10);

/// The pages, by origin. None unless configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Only pages of the API's own origin, which need no leave.
    #[default]
    None,
    /// Any page whose script knows a key.
    All,
    /// These.
    Some(Vec<String>),
}

/// A word that is no origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoOrigin(String);

impl fmt::Display for NoOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no origin like https://app.example.com", self.0)
    }
}

impl std::error::Error for NoOrigin {}

/// `*`, or origins between commas.
impl FromStr for CorsOrigins {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        match words[..] {
            [] => Ok(Self::None),
            ["*"] => Ok(Self::All),
            _ => words.into_iter().map(origin).collect::<Result<_, _>>().map(Self::Some),
        }
    }
}

/// Scheme, host and port as browsers send them.
fn origin(word: &str) -> Result<String, NoOrigin> {
    let refused = || NoOrigin(word.to_owned());
    let url = Url::parse(word).map_err(|_| refused())?;
    let is_bare =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "http" | "https") || !is_bare {
        return Err(refused());
    }
    Ok(url.origin().ascii_serialization())
}

impl CorsOrigins {
    /// The layer that answers preflights and marks answers.
    pub fn layer(&self) -> CorsLayer {
        let origins = match self {
            // A list of nobody: no page is told that it may read.
            Self::None => AllowOrigin::list([]),
            Self::All => AllowOrigin::any(),
            Self::Some(origins) => {
                AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
            }
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_MATCH,
                header::IF_NONE_MATCH,
                header::IF_RANGE,
                header::RANGE,
                HeaderName::from_static("idempotency-key"),
                HeaderName::from_static("last-event-id"),
                HeaderName::from_static("x-api-key"),
                HeaderName::from_static("x-request-id"),
            ])
            .expose_headers([
                header::ACCEPT_RANGES,
                header::CONTENT_DISPOSITION,
                header::CONTENT_LENGTH,
                header::CONTENT_RANGE,
                header::ETAG,
                header::LINK,
                header::LOCATION,
                header::RETRY_AFTER,
                HeaderName::from_static("x-request-id"),
            ])
            .max_age(REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_send_them() {
        let some = |origins: &[&str]| CorsOrigins::Some(origins.iter().map(|o| (*o).to_owned()).collect());
        for (text, wanted) in [
            ("", CorsOrigins::None),
            (" , ", CorsOrigins::None),
            ("*", CorsOrigins::All),
            ("https://App.example.com/", some(&["https://app.example.com"])),
            (
                "http://localhost:5173, https://a.example:443",
                some(&["http://localhost:5173", "https://a.example"]),
            ),
        ] {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
        }
        for text in
            ["app.example.com", "ftp://a.example", "https://a.example/app", "*,https://a.example", "null"]
        {
            assert!(text.parse::<CorsOrigins>().is_err(), "{text}");
        }
    }
}
