//! The simulator's own outgoing requests (inputs, webhooks). It runs on a developer's machine and follows URLs
//! that tests make up, so by default it reaches this machine only.

use crate::error::SimulatorError;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// Why a URL was not asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    #[error("{0} is not a URL")]
    NotAUrl(String),
    #[error("{0} is not on this machine; start the simulator with --allow-any-host to reach it")]
    NotHere(Url),
}

/// HTTP clients that stay where they may go.
pub(crate) struct Outbound {
    any_host: bool,
    client: reqwest::Client,
}

impl Outbound {
    pub(crate) fn new(any_host: bool) -> Result<Self, SimulatorError> {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .user_agent("spool-simulator");
        let builder = if any_host { builder } else { builder.dns_resolver(Arc::new(Here)) };
        let client = builder.build().map_err(SimulatorError::Client)?;
        Ok(Self { any_host, client })
    }

    /// A URL that may be asked.
    pub(crate) fn check(&self, text: &str) -> Result<Url, OutboundError> {
        let url = Url::parse(text).map_err(|_| OutboundError::NotAUrl(text.to_owned()))?;
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return Err(OutboundError::NotAUrl(text.to_owned())),
        };
        // Names are checked by the resolver, after they have become addresses.
        if !self.any_host && literal.is_some_and(|ip| !ip.is_loopback()) {
            return Err(OutboundError::NotHere(url));
        }
        Ok(url)
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }
}

/// Resolves to loopback addresses only.
struct Here;

impl Resolve for Here {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let here: Vec<SocketAddr> = found.filter(|address| address.ip().is_loopback()).collect();
            if here.is_empty() {
                return Err(format!("{} is not on this machine", name.as_str()).into());
            }
            Ok(Box::new(here.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_by_default() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let here = Outbound::new(false).unwrap();
        for good in ["http://127.0.0.1:80/x", "http://[::1]/x", "http://localhost:1/x"] {
            here.check(good).unwrap();
        }
        for bad in
            ["http://10.0.0.1/x", "http://169.254.169.254/", "https://[2001:db8::1]/", "no url", "data:,x"]
        {
            assert!(here.check(bad).is_err(), "{bad}");
        }
        Outbound::new(true).unwrap().check("http://10.0.0.1/x").unwrap();
    }
}
