//! Which addresses a download may reach. A URL that somebody else chose must not make us talk to our
//! own network: the name is resolved here, every address is checked, and the connection is made to
//! the addresses that were checked, not to what a second look-up might say.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;
use url::{Host, Url};

/// Time to resolve a name.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A network that may be reached although it is private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedNet {
    /// The network.
    pub net: IpNet,
    /// Only this port, when set.
    pub port: Option<u16>,
}

/// What may be reached: everything public, and the networks named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchPolicy {
    /// Exceptions.
    pub allow: Vec<AllowedNet>,
}

/// Why an address is not fetched from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Only the web.
    #[error("only http and https addresses can be fetched, not {0}")]
    Scheme(String),
    /// No host in it.
    #[error("the address names no host")]
    NoHost,
    /// A name and password in a URL would end up in logs.
    #[error("the address carries a user name or password; send the file instead")]
    Credentials,
    /// The name does not resolve.
    #[error("the host {0} cannot be found")]
    Unresolved(String),
    /// It leads into a private network.
    #[error("the host {0} is not a public address")]
    Private(String),
}

/// `127.0.0.1/32:8101,10.0.0.0/8`, or nothing.
impl FromStr for FetchPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let allow = entries.map(parse_entry).collect::<Result<_, _>>()?;
        Ok(Self { allow })
    }
}

/// An entry that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SPOOL_FETCH_ALLOW holds {0:?}, which is not like 10.0.0.0/8 or 127.0.0.1/32:8101")]
pub struct PolicyError(String);

fn parse_entry(entry: &str) -> Result<AllowedNet, PolicyError> {
    let bad = || PolicyError(entry.to_owned());
    let (net, port) = match entry.split_once('/') {
        // The port comes after the prefix length, so that the colons of IPv6 mean nothing here.
        Some((address, rest)) => match rest.split_once(':') {
            Some((prefix, port)) => (format!("{address}/{prefix}"), Some(port.parse().map_err(|_| bad())?)),
            None => (entry.to_owned(), None),
        },
        None => return Err(bad()),
    };
    Ok(AllowedNet { net: net.parse().map_err(|_| bad())?, port })
}

impl FetchPolicy {
    /// Resolves the URL's host and returns the addresses to connect to; all of them were checked.
    pub async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, GuardError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(GuardError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(GuardError::Credentials);
        }
        let port = url.port_or_known_default().ok_or(GuardError::NoHost)?;
        let addresses = match url.host().ok_or(GuardError::NoHost)? {
            Host::Ipv4(ip) => vec![SocketAddr::from((ip, port))],
            Host::Ipv6(ip) => vec![SocketAddr::from((ip, port))],
            Host::Domain(name) => {
                let unresolved = || GuardError::Unresolved(name.to_owned());
                let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((name, port)));
                let found: Vec<SocketAddr> =
                    lookup.await.map_err(|_| unresolved())?.map_err(|_| unresolved())?.collect();
                if found.is_empty() {
                    return Err(unresolved());
                }
                found
            }
        };
        // One private address among public ones is a trick, not an accident.
        match addresses.iter().find(|address| !self.permits(address.ip(), port)) {
            Some(_) => Err(GuardError::Private(url.host_str().unwrap_or_default().to_owned())),
            None => Ok(addresses),
        }
    }

    /// Whether this address and port may be connected to.
    pub fn permits(&self, ip: IpAddr, port: u16) -> bool {
        let ip = canonical(ip);
        is_public(ip)
            || self.allow.iter().any(|entry| entry.net.contains(&ip) && entry.port.is_none_or(|p| p == port))
    }
}

/// The IPv4 address inside an IPv6 one, where there is one.
fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    let [a, b, c, ..] = v6.segments();
    let octets = v6.octets();
    let embedded =
        |from: usize| Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3]);
    match (a, b, c) {
        // NAT64 and 6to4 end at an IPv4 address.
        (0x64, 0xff9b, 0) => embedded(12).into(),
        (0x2002, ..) => embedded(2).into(),
        // ::a.b.c.d, long out of use.
        (0, 0, 0) if v6.segments()[..6] == [0; 6] && !v6.is_loopback() && !v6.is_unspecified() => {
            embedded(12).into()
        }
        _ => ip,
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out; of it, Teredo and documentation are not for us.
    let [a, b, ..] = ip.segments();
    (a & 0xe000) == 0x2000 && !(a == 0x2001 && (b == 0 || b == 0xdb8 || (b & 0xfff0) == 0x20)) && a != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_in_every_disguise_are_refused() {
        let policy = FetchPolicy::default();
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::7f00:1",
            "fec0::1",
            "100::1",
        ] {
            assert!(!policy.permits(ip.parse().unwrap(), 443), "{ip}");
        }
        for ip in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"] {
            assert!(policy.permits(ip.parse().unwrap(), 443), "{ip}");
        }
    }

    #[test]
    fn exceptions_name_a_network_and_may_name_a_port() {
        let policy: FetchPolicy = "127.0.0.1/32:8101, 10.0.0.0/8, fd00::/8:80".parse().unwrap();
        for (ip, port, permitted) in [
            ("127.0.0.1", 8101, true),
            ("127.0.0.1", 8102, false),
            ("127.0.0.2", 8101, false),
            ("::ffff:127.0.0.1", 8101, true),
            ("10.9.9.9", 1, true),
            ("fd00::1", 80, true),
            ("fd00::1", 81, false),
        ] {
            assert_eq!(policy.permits(ip.parse().unwrap(), port), permitted, "{ip} {port}");
        }
        assert_eq!("".parse::<FetchPolicy>().unwrap(), FetchPolicy::default());
        for bad in ["localhost", "10.0.0.0", "10.0.0.0/8:x", "10.0.0.0/40"] {
            assert!(
                bad.parse::<FetchPolicy>().unwrap_err().to_string().contains("SPOOL_FETCH_ALLOW"),
                "{bad}"
            );
        }
    }

    #[tokio::test]
    async fn odd_urls_are_refused() {
        let policy = FetchPolicy::default();
        for (url, error) in [
            ("ftp://example.com/x", GuardError::Scheme("ftp".into())),
            ("file:///etc/passwd", GuardError::Scheme("file".into())),
            ("http://user:pw@example.com/", GuardError::Credentials),
            ("http://localhost/", GuardError::Private("localhost".into())),
            ("http://0x7f.1/", GuardError::Private("127.0.0.1".into())),
            ("http://2130706433/", GuardError::Private("127.0.0.1".into())),
            ("http://[::1]/", GuardError::Private("[::1]".into())),
        ] {
            assert_eq!(policy.resolve(&url.parse().unwrap()).await, Err(error), "{url}");
        }
    }
}
