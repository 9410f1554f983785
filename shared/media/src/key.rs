//! Names of stored files. A file is named by the SHA-256 of its bytes; nothing a caller wrote becomes a path.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The SHA-256 of a file's bytes: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a media digest is 64 lower-case hexadecimal digits")]
pub struct NotADigest;

impl Digest {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the file lies in the store, relative to its root: `ab/cd/abcd...`, so that no folder gets too full.
    pub fn object_path(&self) -> String {
        format!("{}/{}/{}", &self.0[..2], &self.0[2..4], self.0)
    }

    /// A strong HTTP entity tag: the content names itself.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.0)
    }

    pub(crate) fn of_hash(hash: &[u8]) -> Self {
        use fmt::Write;
        let mut text = String::with_capacity(64);
        for byte in hash {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").ok();
        }
        Self(text)
    }

    /// The digest of bytes at hand.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::of_hash(&sha2::Sha256::digest(bytes))
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(hex) { Ok(Self(text.to_owned())) } else { Err(NotADigest) }
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_digest_becomes_a_path() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), abc);
        assert_eq!(Digest::of(b"abc").object_path(), format!("ba/78/{abc}"));
        let traversal = format!("{}{}", "../".repeat(21), "a");
        for bad in ["", "../../etc/passwd", &abc.to_uppercase(), &abc[1..], &traversal] {
            assert_eq!(bad.parse::<Digest>(), Err(NotADigest), "{bad}");
        }
        assert!(serde_json::from_str::<Digest>("\"../x\"").is_err());
    }
}
