//! The JSON of clients: snake_case, as in v3.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spool_db::clients::{Client, NewClient};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::ApiError;
use crate::validation::Invalid;

/// Longest free text of a client or campaign, in characters.
pub const LONGEST_TEXT: usize = 20_000;
/// Longest URL that is kept.
pub const LONGEST_URL: usize = 2_048;

/// A new client. Names are taken in `snake_case` or `camelCase`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"name": "Alpine Lodges", "homepage": "https://lodges.example", "metadata": {"tier": "gold"}}))]
pub struct CreateClient {
    #[schema(min_length = 1, max_length = 255)]
    #[serde(default)]
    #[schema(required = true, nullable = false)]
    pub name: Option<String>,
    pub description: Option<String>,
    pub homepage: Option<String>,
    /// A JSON object of your own.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    pub brand_guidelines: Option<String>,
}

impl CreateClient {
    pub fn check(self) -> Result<NewClient, ApiError> {
        let mut invalid = Invalid::default();
        let new = NewClient {
            name: invalid.required_text("name", self.name, 255),
            description: invalid.optional_text("description", self.description, LONGEST_TEXT),
            homepage: invalid.optional_text("homepage", self.homepage, LONGEST_URL),
            metadata: invalid.object("metadata", self.metadata),
            brand_guidelines: invalid.optional_text("brand_guidelines", self.brand_guidelines, LONGEST_TEXT),
        };
        invalid.finish()?;
        Ok(new)
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClientJson {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub homepage: Option<String>,
    #[schema(value_type = Object)]
    pub metadata: Value,
    pub brand_guidelines: Option<String>,
    pub inserted_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Client> for ClientJson {
    fn from(row: Client) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            homepage: row.homepage,
            metadata: row.metadata,
            brand_guidelines: row.brand_guidelines,
            inserted_at: row.inserted_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClientData {
    pub data: ClientJson,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClientList {
    pub data: Vec<ClientJson>,
    pub meta: TotalMeta,
}

/// How many rows there are in all, whatever the page.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotalMeta {
    pub total: i64,
}
