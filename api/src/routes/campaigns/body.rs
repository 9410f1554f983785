//! The JSON of campaigns: camelCase, as in v3.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spool_db::campaigns::{Campaign, NewCampaign};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::routes::clients::body::{LONGEST_TEXT, LONGEST_URL, TotalMeta};
use crate::validation::Invalid;

/// What a campaign is about. Only a description: it is kept as it comes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Brief {
    Text(String),
    #[schema(value_type = Object)]
    Object(Map<String, Value>),
    /// Only in answers, where one was given as a text that is JSON.
    List(Vec<Value>),
}

/// A new campaign. Names are taken in `snake_case` or `camelCase`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"name": "Autumn", "client_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", "brief": "Warm and calm"}))]
pub struct CreateCampaign {
    #[schema(min_length = 1, max_length = 255, required = true, nullable = false)]
    pub name: Option<String>,
    /// May be left out by a key that is bound to a client.
    #[schema(nullable = false)]
    pub client_id: Option<Uuid>,
    /// A text or an object.
    #[schema(value_type = Option<Brief>)]
    pub brief: Option<Value>,
    pub goal: Option<String>,
    /// A word of your own, such as `draft` or `active`.
    pub status: Option<String>,
    pub product_url: Option<String>,
    /// A JSON object of your own.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

impl CreateCampaign {
    pub fn check(self, caller: &Caller) -> Result<NewCampaign, ApiError> {
        let mut invalid = Invalid::default();
        let client_id = caller.claim_client(self.client_id)?;
        if client_id.is_none() {
            invalid.add("client_id", "can't be blank");
        }
        if !matches!(self.brief, None | Some(Value::Null | Value::String(_) | Value::Object(_))) {
            invalid.add("brief", "must be a text or an object");
        }
        let new = NewCampaign {
            client_id: client_id.unwrap_or_default(),
            name: invalid.required_text("name", self.name, 255),
            brief: self.brief.filter(|brief| !brief.is_null()),
            goal: invalid.optional_text("goal", self.goal, LONGEST_TEXT),
            status: invalid.optional_text("status", self.status, 255),
            product_url: invalid.optional_text("product_url", self.product_url, LONGEST_URL),
            metadata: invalid.object("metadata", self.metadata),
        };
        invalid.finish()?;
        Ok(new)
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignJson {
    pub id: Uuid,
    pub client_id: Uuid,
    pub name: String,
    pub goal: Option<String>,
    pub status: Option<String>,
    pub product_url: Option<String>,
    /// A text, or an object where one was given (also as a text that is JSON).
    #[schema(value_type = Option<Brief>)]
    pub brief: Option<Value>,
    #[schema(value_type = Object)]
    pub metadata: Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Campaign> for CampaignJson {
    fn from(row: Campaign) -> Self {
        Self {
            id: row.id,
            client_id: row.client_id,
            name: row.name,
            goal: row.goal,
            status: row.status,
            product_url: row.product_url,
            brief: row.brief.map(decoded),
            metadata: row.metadata,
            created_at: row.inserted_at,
            updated_at: row.updated_at,
        }
    }
}

/// Older clients send an object as a text of JSON and expect the object back.
pub fn decoded(brief: Value) -> Value {
    match &brief {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => inner,
            _ => brief,
        },
        _ => brief,
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignData {
    pub data: CampaignJson,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignList {
    pub data: Vec<CampaignJson>,
    pub meta: TotalMeta,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_brief_that_is_json_comes_back_decoded() {
        for (stored, shown) in [
            (json!("Warm and calm"), json!("Warm and calm")),
            (json!("{\"tone\":\"warm\"}"), json!({"tone": "warm"})),
            (json!("42"), json!("42")),
            (json!({"tone": "warm"}), json!({"tone": "warm"})),
        ] {
            assert_eq!(decoded(stored), shown);
        }
    }
}
