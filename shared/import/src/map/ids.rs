//! Ids: kept where they are UUIDs, else made from what they were, the same in each run.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The UUID of a row of a table. A key that is none becomes one that is always the same.
pub(crate) fn uuid(source: &str, table: &str, key: &str) -> Uuid {
    match Uuid::try_parse(key.trim()) {
        Ok(id) if !id.is_nil() => id,
        _ => derived(&[source, table, key.trim()]),
    }
}

/// A UUID of these words and no others.
pub(crate) fn derived(words: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_kept_and_others_are_always_the_same() {
        let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
        assert_eq!(uuid("a", "clients", &id.to_uppercase()).to_string(), id);
        assert_eq!(uuid("a", "clients", "acme"), uuid("a", "clients", " acme "));
        assert_ne!(uuid("a", "clients", "acme"), uuid("b", "clients", "acme"));
        assert_ne!(uuid("a", "clients", "acme"), uuid("a", "campaigns", "acme"));
        assert_ne!(derived(&["ab", "c"]), derived(&["a", "bc"]));
        assert_ne!(uuid("a", "clients", "00000000-0000-0000-0000-000000000000"), Uuid::nil());
    }
}
