//! Streaming downloads into a file: bounded, digested, checked for being whole and for being media.

use crate::guard::{FetchPolicy, GuardError};
use crate::http::builder;
use http::header::{CONTENT_TYPE, LOCATION};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use url::Url;

/// Redirects that are followed, each checked like the first address.
const MOST_REDIRECTS: usize = 5;

/// How much a download may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Size of the file.
    pub bytes: u64,
    /// Longest silence of a server.
    pub silence: Duration,
    /// Time for all of it, redirects included.
    pub total: Duration,
}

impl Bounds {
    /// So many bytes, in five minutes without a silence of half a minute.
    pub const fn of(bytes: u64) -> Self {
        Self { bytes, silence: Duration::from_secs(30), total: Duration::from_secs(300) }
    }
}

/// What was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// How many bytes.
    pub bytes: u64,
    /// SHA-256, lowercase hex.
    pub sha256: String,
    /// What the server called it, which need not be true.
    pub content_type: Option<String>,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The text is no address.
    #[error("not an address that can be fetched")]
    BadUrl(#[from] url::ParseError),
    /// The address may not be reached.
    #[error(transparent)]
    Refused(#[from] GuardError),
    /// It is no longer there.
    #[error("the server answered {status}: the file is not there, or no longer")]
    Gone {
        /// 403, 404 or 410.
        status: u16,
    },
    /// Another answer than success.
    #[error("the server answered {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Redirected in a circle, or nowhere.
    #[error("the server redirects too often or nowhere")]
    Redirects,
    /// Larger than allowed.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Fewer bytes than announced.
    #[error("the download ended after {got} of {announced} bytes")]
    Truncated {
        /// Bytes that came.
        got: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// All of it took too much time.
    #[error("the download was not over after {} s", .0.as_secs_f64())]
    TooLong(Duration),
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A web page in the place of a file.
    #[error("the server sent text ({0}) in the place of media")]
    NotMedia(String),
    /// The connection failed.
    #[error("the download failed")]
    Transport(#[source] reqwest::Error),
    /// The file could not be written.
    #[error("could not write the download")]
    Write(#[from] std::io::Error),
}

impl DownloadError {
    /// Whether the same URL will give the same answer again, so that repeating is pointless. [`Self::Gone`] is
    /// not among them: the provider may name another URL.
    pub fn is_final(&self) -> bool {
        match self {
            Self::BadUrl(_) | Self::TooLarge { .. } => true,
            Self::Refused(why) => !matches!(why, GuardError::Unresolved(_)),
            _ => false,
        }
    }

    fn transport(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}

/// Downloads `url` to `path`. Nothing is sent along: no token, no cookie.
pub async fn fetch(
    policy: &FetchPolicy,
    url: &str,
    path: &Path,
    bounds: Bounds,
) -> Result<Downloaded, DownloadError> {
    let whole = tokio::time::timeout(bounds.total, follow(policy, url, path, bounds)).await;
    whole.unwrap_or(Err(DownloadError::TooLong(bounds.total)))
}

async fn follow(
    policy: &FetchPolicy,
    url: &str,
    path: &Path,
    bounds: Bounds,
) -> Result<Downloaded, DownloadError> {
    let mut url: Url = url.parse()?;
    for _ in 0..=MOST_REDIRECTS {
        let addresses = policy.resolve(&url).await?;
        let host = url.host_str().unwrap_or_default();
        // A client for this one hop: it can connect to nothing but the checked addresses.
        let client = builder()
            .resolve_to_addrs(host, &addresses)
            .read_timeout(bounds.silence)
            .build()
            .map_err(DownloadError::transport)?;
        let answer = client.get(url.clone()).send().await.map_err(DownloadError::transport)?;
        match answer.status().as_u16() {
            300..=399 => {
                let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                url = url.join(location.ok_or(DownloadError::Redirects)?)?;
            }
            200 => return save(answer, path, bounds.bytes).await,
            status @ (403 | 404 | 410) => return Err(DownloadError::Gone { status }),
            status => return Err(DownloadError::Status { status }),
        }
    }
    Err(DownloadError::Redirects)
}

async fn save(mut answer: reqwest::Response, path: &Path, limit: u64) -> Result<Downloaded, DownloadError> {
    let announced = answer.content_length();
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(DownloadError::TooLarge { limit });
    }
    let content_type =
        answer.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(ToOwned::to_owned);
    if let Some(text) = content_type.as_deref().filter(|kind| is_text(kind)) {
        return Err(DownloadError::NotMedia(text.to_owned()));
    }
    let mut file = tokio::fs::File::create(path).await?;
    let (mut digest, mut bytes) = (Sha256::new(), 0_u64);
    loop {
        let chunk = match answer.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // A body that ends early is an error of the transport; say how far it came.
            Err(error) => match announced {
                Some(announced) if bytes < announced && !error.is_timeout() => {
                    return Err(DownloadError::Truncated { got: bytes, announced });
                }
                _ => return Err(DownloadError::transport(error)),
            },
        };
        if bytes == 0 && looks_like_text(&chunk) {
            return Err(DownloadError::NotMedia("a page".to_owned()));
        }
        bytes += chunk.len() as u64;
        if bytes > limit {
            return Err(DownloadError::TooLarge { limit });
        }
        digest.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    match announced {
        Some(announced) if announced != bytes => Err(DownloadError::Truncated { got: bytes, announced }),
        _ if bytes == 0 => Err(DownloadError::Empty),
        _ => Ok(Downloaded { bytes, sha256: spool_job::canonical::hex(&digest.finalize()), content_type }),
    }
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type.to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.starts_with("application/json")
        || kind.starts_with("application/problem+json")
}

/// HTML, XML or JSON: no medium begins like that.
fn looks_like_text(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    matches!(start.trim_ascii_start().first(), Some(b'<' | b'{'))
}
