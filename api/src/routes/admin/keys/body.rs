//! The JSON of keys. A secret is shown once, when its key is made, and is in no other answer.

use chrono::{DateTime, Days, Utc};
use serde::{Deserialize, Serialize};
use spool_db::keys::{ApiKey, Scope};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::ApiError;
use crate::routes::assets::body::PageMeta;
use crate::validation::Invalid;

/// Longest life that is counted in days.
const MOST_DAYS: i64 = 3650;
/// Highest rate of a key.
const MOST_PER_MINUTE: i64 = 10_000_000;

/// A new key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"name": "Alpine Lodges, website", "scopes": ["write"], "client_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e",
    "expires_days": 365, "requests_per_minute": 600}))]
pub struct CreateKey {
    /// For people: who or what uses it.
    #[serde(default)]
    #[schema(required = true, nullable = false, min_length = 1, max_length = 255)]
    pub name: Option<String>,
    /// `read`, `write` or `admin`; each holds the ones before it.
    #[serde(default)]
    #[schema(required = true, nullable = false, min_items = 1)]
    pub scopes: Option<Vec<String>>,
    /// The only client whose things it sees and touches; such a key cannot have `admin`.
    pub client_id: Option<Uuid>,
    /// After this it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// The same in days from now, 1 to 3650.
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_days: Option<i64>,
    /// Requests a minute that each API process takes of it; what `SPOOL_KEY_REQUESTS_PER_MINUTE` says when left out.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub requests_per_minute: Option<i64>,
}

/// A key to make, as parsed.
#[derive(Debug)]
pub struct Wanted {
    pub name: String,
    pub scopes: Vec<Scope>,
    pub client_id: Option<Uuid>,
    pub expires_at: Option<DateTime<Utc>>,
    pub requests_per_minute: Option<i32>,
}

impl CreateKey {
    pub fn check(self, now: DateTime<Utc>) -> Result<Wanted, ApiError> {
        let mut invalid = Invalid::default();
        let name = invalid.required_text("name", self.name, 255);
        let mut scopes = Vec::new();
        for word in self.scopes.unwrap_or_default() {
            match word.parse::<Scope>() {
                Ok(scope) if scopes.contains(&scope) => {}
                Ok(scope) => scopes.push(scope),
                Err(error) => invalid.add("scopes", error.to_string()),
            }
        }
        if scopes.is_empty() && invalid.is_empty() {
            invalid.add("scopes", "can't be blank");
        }
        if self.client_id.is_some() && scopes.contains(&Scope::Admin) {
            invalid.add("scopes", "a key of one client cannot have admin");
        }
        let in_days = match self.expires_days {
            None => None,
            Some(days) if (1..=MOST_DAYS).contains(&days) => {
                now.checked_add_days(Days::new(days.unsigned_abs()))
            }
            Some(_) => {
                invalid.add("expires_days", format!("must be between 1 and {MOST_DAYS}"));
                None
            }
        };
        if self.expires_days.is_some() && self.expires_at.is_some() {
            invalid.add("expires_days", "must not stand beside expires_at");
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            invalid.add("expires_at", "must lie in the future");
        }
        if self.requests_per_minute.is_some_and(|count| !(1..=MOST_PER_MINUTE).contains(&count)) {
            invalid.add("requests_per_minute", format!("must be between 1 and {MOST_PER_MINUTE}"));
        }
        invalid.finish()?;
        Ok(Wanted {
            name,
            scopes,
            client_id: self.client_id,
            expires_at: self.expires_at.or(in_days),
            requests_per_minute: self.requests_per_minute.and_then(|count| i32::try_from(count).ok()),
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KeyJson {
    /// The part between the underscores: it may be shown and logged.
    pub id: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub client_id: Option<Uuid>,
    /// Neither expired nor revoked.
    pub active: bool,
    pub requests_per_minute: Option<i32>,
    pub created_at: DateTime<Utc>,
    /// The key that made it; none: a command line.
    pub created_by: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl From<ApiKey> for KeyJson {
    fn from(row: ApiKey) -> Self {
        Self {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            client_id: row.client_id,
            active: row.live,
            requests_per_minute: row.requests_per_minute,
            created_at: row.created_at,
            created_by: row.created_by,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    pub data: Vec<KeyJson>,
    pub meta: PageMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedKey {
    pub data: KeyJson,
    /// The whole key, `spool_<id>_<secret>`. It is shown this once.
    pub key: String,
}
