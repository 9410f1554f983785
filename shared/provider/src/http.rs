//! HTTP clients, with timeouts and without surprises.

use reqwest::redirect;
use std::time::Duration;

/// Time to connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a whole call of an API. A submit that takes longer has an unknown outcome.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Chooses the TLS implementation of the process. Every `main`, and every test that builds a client,
/// calls it first; calling it again changes nothing.
pub fn install_crypto() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::trace!("a TLS implementation was chosen before");
    }
}

/// A client for a provider's API: no redirects (a token must not follow one), no proxy of the
/// environment, and no retries of its own: a POST that is sent twice is paid twice.
pub(crate) fn api_client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    builder().timeout(timeout).build()
}

/// What all clients have in common.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(concat!("spool/", env!("CARGO_PKG_VERSION")))
}
