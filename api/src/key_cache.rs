//! Keys that were right a moment ago: a caller who polls asks the database for its key once a moment, not with every request.
//! A key that is revoked or expires elsewhere is refused after that moment; one that this process revokes, at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use spool_db::keys::{Authenticated, KeyToken};

/// How long a key that was right is taken to be right. Below the second after which a revoked key must be refused everywhere.
pub const LIFE: Duration = Duration::from_millis(750);
/// Only keys that exist come here, so more than this is rare.
const MOST: usize = 10_000;

/// By the digest of the whole key, so that a wrong secret finds nothing.
type Known = HashMap<[u8; 32], (Instant, Arc<Authenticated>)>;

#[derive(Debug)]
pub struct KeyCache {
    life: Duration,
    known: Mutex<Known>,
}

impl KeyCache {
    pub fn new(life: Duration) -> Self {
        Self { life, known: Mutex::default() }
    }

    pub fn get(&self, token: &KeyToken) -> Option<Arc<Authenticated>> {
        let known = self.known();
        let (read_at, key) = known.get(&token.digest())?;
        (read_at.elapsed() < self.life).then(|| Arc::clone(key))
    }

    /// Keeps what was read after `asked`.
    pub fn keep(&self, token: &KeyToken, asked: Instant, key: Arc<Authenticated>) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.retain(|_, (read_at, _)| read_at.elapsed() < self.life);
        }
        if known.len() < MOST {
            known.insert(token.digest(), (asked, key));
        }
    }

    pub fn forget(&self, id: &str) {
        self.known().retain(|_, (_, key)| key.id != id);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use spool_db::keys::ENTROPY_BYTES;

    use super::*;

    fn key(token: &KeyToken) -> Authenticated {
        Authenticated {
            id: token.id().to_owned(),
            scopes: vec!["read".to_owned()],
            client_id: None,
            requests_per_minute: None,
            unseen: false,
        }
    }

    #[test]
    fn a_key_is_known_for_a_moment_by_all_of_it() {
        let (cache, asked) = (KeyCache::new(Duration::from_secs(3600)), Instant::now());
        let token = KeyToken::mint([1; ENTROPY_BYTES]);
        let mut same_id = [1; ENTROPY_BYTES];
        same_id[ENTROPY_BYTES - 1] = 2;
        let wrong = KeyToken::mint(same_id);
        assert_eq!(token.id(), wrong.id());
        assert_eq!(cache.get(&token), None);
        cache.keep(&token, asked, Arc::new(key(&token)));
        assert_eq!(cache.get(&token).as_deref(), Some(&key(&token)));
        assert_eq!(cache.get(&wrong), None, "another secret");
        cache.forget("another");
        assert!(cache.get(&token).is_some());
        cache.forget(token.id());
        assert_eq!(cache.get(&token), None);

        let forgetful = KeyCache::new(Duration::ZERO);
        forgetful.keep(&token, asked, Arc::new(key(&token)));
        assert_eq!(forgetful.get(&token), None);
    }
}
