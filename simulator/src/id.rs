//! Ids as the service makes them. Random even under a fixed seed: a client may remember an id for ever, so a
//! simulator that was reset must not hand it out again.

/// 26 characters of lowercase letters and digits.
pub(crate) fn prediction() -> String {
    const ALPHABET: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random: [u8; 26] = rand::random();
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

/// `prefix` and a random tail.
pub(crate) fn with_prefix(prefix: &str) -> String {
    format!("{prefix}{}", prediction())
}

#[cfg(test)]
mod tests {
    #[test]
    fn looks_like_the_real_ones() {
        let id = super::prediction();
        assert_eq!(id.len(), 26);
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        assert_ne!(id, super::prediction());
    }
}
