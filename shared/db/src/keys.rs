//! API keys: `spool_<id>_<secret>`. The id finds the row, the secret is compared by its SHA-256 in constant
//! time. Secrets are 32 random bytes, so a fast hash is enough; nothing here can show one again.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use spool_job::canonical::hex;
use sqlx::PgConnection;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::error::{DbError, Doing};

/// What a key may do. Each holds the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See everything the key may see.
    Read,
    /// Create and approve: this spends money.
    Write,
    /// Limits, keys, workers, other people's jobs.
    Admin,
}

impl Scope {
    /// All scopes, lowest first.
    pub const ALL: &'static [Self] = &[Self::Read, Self::Write, Self::Admin];

    /// The name used in the database and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope; there are read, write and admin")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
/// Random bytes that one key is made of.
pub const ENTROPY_BYTES: usize = ID_BYTES + SECRET_BYTES;

/// A key as it is presented: an id in clear and a secret.
#[derive(Debug)]
pub struct KeyToken {
    id: String,
    secret: SecretString,
}

impl KeyToken {
    /// A new key from random bytes. Store it with [`insert`]; show it once with [`KeyToken::reveal`].
    pub fn mint(entropy: [u8; ENTROPY_BYTES]) -> Self {
        let (id, secret) = entropy.split_at(ID_BYTES);
        Self { id: hex(id), secret: SecretString::from(hex(secret)) }
    }

    /// Takes a presented key apart; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix("spool_")?.split_once('_')?;
        let id_is_fine = (4..=32).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let secret_is_fine =
            (16..=256).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
        (id_is_fine && secret_is_fine).then(|| Self { id: id.to_owned(), secret: SecretString::from(secret) })
    }

    /// The part that may be shown and logged.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole key, to be shown to its owner once.
    pub fn reveal(&self) -> SecretString {
        SecretString::from(format!("spool_{}_{}", self.id, self.secret.expose_secret()))
    }

    /// A key of an older system (`API_AUTH_KEY`): any text of 16 to 256 visible characters. Its id comes from its own hash.
    pub fn of_older_system(text: &str) -> Option<Self> {
        let is_fine = (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_fine && !text.starts_with("spool_")).then(|| {
            let digest = Sha256::digest(format!("spool-older-key-1\n{text}").as_bytes());
            Self { id: format!("older{}", hex(&digest[..8])), secret: SecretString::from(text) }
        })
    }

    /// Of all of it, to tell presented keys apart without holding them.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.id.as_bytes());
        digest.update(b"_");
        digest.update(self.secret.expose_secret().as_bytes());
        digest.finalize().into()
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose_secret().as_bytes()).into()
    }
}

/// What a new key is for.
#[derive(Debug, Clone)]
pub struct NewKey<'a> {
    /// For people.
    pub name: &'a str,
    /// At least one.
    pub scopes: &'a [Scope],
    /// The only client it may see, when set.
    pub client_id: Option<Uuid>,
    /// After this instant it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Requests a minute that each API process takes of it, when it has a rate of its own; at least 1.
    pub requests_per_minute: Option<i32>,
    /// The key that makes it.
    pub created_by: Option<&'a str>,
}

/// A stored key, without its secret.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The part of the key between the underscores.
    pub id: String,
    /// For people.
    pub name: String,
    /// As stored.
    pub scopes: Vec<String>,
    /// The only client it may see, when set.
    pub client_id: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// After this instant it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Since then it is refused.
    pub revoked_at: Option<DateTime<Utc>>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Requests a minute, when it has a rate of its own.
    pub requests_per_minute: Option<i32>,
    /// The key that made it.
    pub created_by: Option<String>,
    /// Neither expired nor revoked, by the database's clock.
    pub live: bool,
}

/// A key that was presented and is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// Its id.
    pub id: String,
    /// Its scopes as stored.
    pub scopes: Vec<String>,
    /// The only client it may see, when set.
    pub client_id: Option<Uuid>,
    /// Requests a minute, when it has a rate of its own.
    pub requests_per_minute: Option<i32>,
    /// Its last noted use is more than a minute ago.
    pub unseen: bool,
}

impl Authenticated {
    /// The highest scope it has; an unknown word counts as the lowest.
    pub fn highest_scope(&self) -> Scope {
        self.scopes.iter().filter_map(|scope| scope.parse().ok()).max().unwrap_or(Scope::Read)
    }
}

/// Stores a minted key.
pub async fn insert(conn: &mut PgConnection, token: &KeyToken, new: &NewKey<'_>) -> Result<(), DbError> {
    let scopes: Vec<String> = new.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    sqlx::query!(
        "INSERT INTO api_keys (id, name, secret_hash, scopes, client_id, expires_at, requests_per_minute, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        token.id,
        new.name,
        &token.hash()[..],
        &scopes,
        new.client_id,
        new.expires_at,
        new.requests_per_minute,
        new.created_by,
    )
    .execute(conn)
    .await
    .doing("store the API key")?;
    Ok(())
}

/// Stores a key of an older system under its own id, for everything but administration. One that is there, revoked or not,
/// stays as it is; says whether it was new.
pub async fn adopt(conn: &mut PgConnection, token: &KeyToken, name: &str) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO api_keys (id, name, secret_hash, scopes) VALUES ($1, $2, $3, '{write}') ON CONFLICT (id) DO NOTHING",
        token.id,
        name,
        &token.hash()[..],
    )
    .execute(conn)
    .await
    .doing("take over an API key")?;
    Ok(done.rows_affected() == 1)
}

/// The key that was presented, when it exists, its secret is right, and it is neither expired nor revoked.
/// The database's clock decides.
pub async fn authenticate(
    conn: &mut PgConnection,
    token: &KeyToken,
) -> Result<Option<Authenticated>, DbError> {
    let row = sqlx::query!(
        r#"SELECT id, secret_hash, scopes, client_id, requests_per_minute,
                  (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())) AS "live!",
                  (last_used_at IS NULL OR last_used_at < now() - interval '1 minute') AS "unseen!"
           FROM api_keys WHERE id = $1"#,
        token.id,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing("look up the API key")?;
    // An unknown id costs the same hash and comparison as a known one.
    let presented = token.hash();
    let stored = row.as_ref().map_or(&[0u8; 32][..], |row| &row.secret_hash);
    let right = bool::from(presented[..].ct_eq(stored));
    Ok(row.filter(|row| right && row.live).map(|row| Authenticated {
        id: row.id,
        scopes: row.scopes,
        client_id: row.client_id,
        requests_per_minute: row.requests_per_minute,
        unseen: row.unseen,
    }))
}

/// Notes that a key was used. Called when [`Authenticated::unseen`] says so: once a minute is enough to see which
/// keys live, and a write per request would be the hottest row of all.
pub async fn note_use(conn: &mut PgConnection, id: &str) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE api_keys SET last_used_at = now()
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        id,
    )
    .execute(conn)
    .await
    .doing("note the use of the API key")?;
    Ok(())
}

macro_rules! select {
    ($which:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            ApiKey,
            r#"SELECT id, name, scopes, client_id, created_at, expires_at, revoked_at, last_used_at, requests_per_minute, created_by,
                      (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())) AS "live!"
               FROM api_keys WHERE "# + $which,
            $($arg),+
        )
    };
}

/// A page of keys, newest first, and how many there are in all.
pub async fn list(conn: &mut PgConnection, limit: i64, offset: i64) -> Result<(Vec<ApiKey>, i64), DbError> {
    let total = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM api_keys"#)
        .fetch_one(&mut *conn)
        .await
        .doing("count the API keys")?;
    let keys = select!("true ORDER BY created_at DESC, id LIMIT $1 OFFSET $2", limit, offset)
        .fetch_all(conn)
        .await
        .doing("list the API keys")?;
    Ok((keys, total))
}

/// One key.
pub async fn find(conn: &mut PgConnection, id: &str) -> Result<Option<ApiKey>, DbError> {
    select!("id = $1", id).fetch_optional(conn).await.doing("read the API key")
}

/// Refuses a key from now on; `by` is the key that says so. `false` when there is no such key; revoking twice keeps the first time.
pub async fn revoke(conn: &mut PgConnection, id: &str, by: Option<&str>) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE api_keys SET revoked_by = CASE WHEN revoked_at IS NULL THEN $2 ELSE revoked_by END, revoked_at = COALESCE(revoked_at, now())
         WHERE id = $1",
        id,
        by,
    )
    .execute(conn)
    .await
    .doing("revoke the API key")?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_key_parses_back_and_hides_its_secret() {
        let token = KeyToken::mint([7; ENTROPY_BYTES]);
        let text = token.reveal();
        let again = KeyToken::parse(text.expose_secret()).expect("parses");
        assert_eq!((again.id(), again.hash()), (token.id(), token.hash()));
        let shown = format!("{token:?}");
        assert!(!shown.contains(token.secret.expose_secret()), "{shown}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "spool_",
            "spool_abcd",
            "spool_abcd_",
            "spool_abcd_short",
            "spool_ABCD_0123456789abcdef",
            "sp00l_abcd_0123456789abcdef",
            "spool_a_0123456789abcdef",
            "spool_abcd_0123456789abcde\u{e9}",
        ] {
            assert!(KeyToken::parse(text).is_none(), "{text}");
        }
        assert!(KeyToken::parse("spool_abcd_0123456789abcdef").is_some());
    }

    #[test]
    fn older_keys_keep_their_id_and_do_not_tell_their_secret() {
        let key = KeyToken::of_older_system("a-key-of-elder-days").expect("a key");
        assert_eq!(KeyToken::of_older_system("a-key-of-elder-days").expect("a key").id(), key.id());
        assert_ne!(KeyToken::of_older_system("a-key-of-elder-dayz").expect("a key").id(), key.id());
        assert!(key.id().starts_with("older") && key.id().len() == 21, "{}", key.id());
        for text in
            ["", "short", "spool_abcd_0123456789abcdef", "with a space in the middle", &"x".repeat(257)]
        {
            assert!(KeyToken::of_older_system(text).is_none(), "{text}");
        }
    }

    #[test]
    fn scopes_hold_the_lower_ones() {
        assert!(Scope::Admin > Scope::Write && Scope::Write > Scope::Read);
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse::<Scope>(), Ok(*scope));
        }
    }
}
