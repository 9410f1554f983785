//! How a simulator is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// How a simulator is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the APIs listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the CDN listens; port 0 takes a free one.
    pub cdn_listen: SocketAddr,
    /// Where predictions, ledger, files and outputs are kept.
    pub data_dir: PathBuf,
    /// Models run this many times faster than the real ones; rate limits are as many times wider.
    pub speed: f64,
    /// Serve cached clips made unique instead of encoding each one.
    pub cheap_media: bool,
    /// Seed of everything that is drawn (pictures, melodies, fault chances).
    pub seed: u64,
    /// Fetch inputs from and send webhooks to hosts other than this machine.
    pub allow_any_host: bool,
    /// Create requests per real minute; by default 600 times `speed`.
    pub creates_per_minute: Option<u32>,
    /// Other requests per real minute; by default 3000 times `speed`.
    pub reads_per_minute: Option<u32>,
}

impl Config {
    /// Free ports on this machine, real speed, real media.
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            cdn_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: data_dir.into(),
            speed: 1.0,
            cheap_media: false,
            seed: 1,
            allow_any_host: false,
            creates_per_minute: None,
            reads_per_minute: None,
        }
    }
}
