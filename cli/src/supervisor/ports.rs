//! Free ports of this machine, kept from one start to the next while nobody else takes them.

use std::net::{Ipv4Addr, TcpListener};

use rand::RngExt;

/// Below the range that Linux gives to outgoing connections, so that nothing takes a chosen port by chance between
/// our look and the program's bind.
const CHOICE: std::ops::Range<u16> = 20_000..32_000;
const TRIES: usize = 200;

/// No port could be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error("port {port} of 127.0.0.1 is taken: stop what uses it, or give {option} 0 to take a free one")]
    Taken { port: u16, option: &'static str },
    #[error("no free port found on 127.0.0.1 in {TRIES} tries")]
    NoneFree,
}

/// A port for one program. `wanted` is what the command line says: nothing, 0 for any, or a number that must be
/// free. `remembered` is from the last start, `usual` the first choice when the command line says nothing.
pub(crate) fn choose(
    wanted: Option<u16>,
    remembered: Option<u16>,
    usual: Option<u16>,
    option: &'static str,
) -> Result<u16, PortError> {
    match wanted {
        Some(port) if port > 0 => is_free(port).then_some(port).ok_or(PortError::Taken { port, option }),
        Some(_) => remembered.filter(|port| is_free(*port)).map_or_else(any, Ok),
        None => {
            let first = remembered.into_iter().chain(usual).find(|port| is_free(*port));
            first.map_or_else(any, Ok)
        }
    }
}

/// Any free port.
pub(crate) fn any() -> Result<u16, PortError> {
    let mut random = rand::rng();
    (0..TRIES).map(|_| random.random_range(CHOICE)).find(|port| is_free(*port)).ok_or(PortError::NoneFree)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_when_asked_for_and_avoided_when_remembered() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, any().unwrap())).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = choose(Some(port), None, None, "--api-port").unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--api-port 0"), "{error}");
        assert_ne!(choose(Some(0), Some(port), None, "--api-port").unwrap(), port);
        assert_ne!(choose(None, Some(port), Some(port), "--api-port").unwrap(), port);
    }

    #[test]
    fn a_free_port_is_kept() {
        let port = any().unwrap();
        assert_eq!(choose(Some(0), Some(port), None, "--api-port").unwrap(), port);
        assert_eq!(choose(None, Some(port), Some(1), "--api-port").unwrap(), port);
        assert_eq!(choose(Some(port), None, None, "--api-port").unwrap(), port);
    }
}
