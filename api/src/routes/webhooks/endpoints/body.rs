//! The JSON of webhook endpoints. A secret is shown once, when it is made, and is in no other answer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use spool_db::edit::Edit;
use spool_db::hooks::endpoints::{Endpoint, EndpointEdit};
use spool_job::hook_event::HookEvent;
use spool_provider::guard::GuardError;
use spool_provider::hook;
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::ApiError;
use crate::routes::assets::body::PageMeta;
use crate::state::AppState;
use crate::validation::Invalid;

const LONGEST_URL: usize = 2048;
const LONGEST_TEXT: usize = 1000;

/// Somebody who wants to be told.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"url": "https://lodges.example/hooks/spool", "description": "website",
    "event_types": ["job.completed", "job.failed"], "client_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e"}))]
pub struct CreateEndpoint {
    /// Where to: `https`, or `http` where that will do. Its host must be public.
    #[serde(default)]
    #[schema(required = true, nullable = false, min_length = 1, max_length = 2048)]
    pub url: Option<String>,
    /// For people.
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// Kinds of events; all of them when left out: `job.created`, `job.approved`, `job.progress` (another stage), `job.completed`,
    /// `job.failed`, `job.canceled`, `job.reopened`.
    pub event_types: Option<Vec<String>>,
    /// Only events of this client's jobs; a key that is bound to a client gets no others.
    pub client_id: Option<Uuid>,
}

/// What is wanted, as parsed; its address is not looked up yet.
#[derive(Debug)]
pub struct Wanted {
    pub url: Url,
    pub description: Option<String>,
    pub events: Vec<String>,
}

impl CreateEndpoint {
    pub fn check(self) -> Result<Wanted, ApiError> {
        let mut invalid = Invalid::default();
        let url = address(&mut invalid, self.url);
        let description = invalid.optional_text("description", self.description, LONGEST_TEXT);
        let events = events(&mut invalid, self.event_types.unwrap_or_default());
        invalid.finish()?;
        let url = url.ok_or_else(|| ApiError::internal("an address was neither taken nor refused"))?;
        Ok(Wanted { url, description, events })
    }
}

/// What is left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"event_types": ["job.completed"], "enabled": true}))]
pub struct UpdateEndpoint {
    #[schema(value_type = String, required = false, min_length = 1, max_length = 2048)]
    #[serde(default)]
    pub url: Edit<String>,
    #[schema(value_type = Option<String>, max_length = 1000)]
    #[serde(default)]
    pub description: Edit<String>,
    /// Kinds of events, all of them anew; null or none: every kind.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    pub event_types: Edit<Vec<String>>,
    /// While it is false nothing is sent, and what happens meanwhile is not sent later.
    pub enabled: Option<bool>,
}

impl UpdateEndpoint {
    /// What changes, and the address if that does.
    pub fn check(self) -> Result<(EndpointEdit, Option<Url>), ApiError> {
        let mut invalid = Invalid::default();
        let url = match self.url {
            Edit::Keep => None,
            Edit::Clear => address(&mut invalid, None),
            Edit::Set(text) => address(&mut invalid, Some(text)),
        };
        let events = match self.event_types {
            Edit::Keep => None,
            Edit::Clear => Some(Vec::new()),
            Edit::Set(words) => Some(events(&mut invalid, words)),
        };
        let edit = EndpointEdit {
            url: url.as_ref().map(Url::to_string),
            description: invalid.edited_text("description", self.description, LONGEST_TEXT),
            events,
            enabled: self.enabled,
        };
        invalid.finish()?;
        Ok((edit, url))
    }
}

fn address(invalid: &mut Invalid, given: Option<String>) -> Option<Url> {
    let text = invalid.required_text("url", given, LONGEST_URL);
    if text.is_empty() {
        return None;
    }
    let sentence = match text.parse::<Url>() {
        Err(error) => format!("is not an address: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "must begin with https:// or http://".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "must carry no user name or password".to_owned()
        }
        Ok(url) if url.fragment().is_some() => "must have no fragment".to_owned(),
        Ok(url) if url.as_str().len() > LONGEST_URL => format!("should be at most {LONGEST_URL} characters"),
        Ok(url) => return Some(url),
    };
    invalid.add("url", sentence);
    None
}

fn events(invalid: &mut Invalid, words: Vec<String>) -> Vec<String> {
    let mut events: Vec<String> = Vec::new();
    for word in words {
        match word.parse::<HookEvent>() {
            Ok(event) if event.can_be_chosen() => {
                if !events.contains(&word) {
                    events.push(word);
                }
            }
            _ => {
                let known =
                    HookEvent::ALL.iter().filter(|event| event.can_be_chosen()).map(|event| event.as_str());
                let known = known.collect::<Vec<_>>().join(", ");
                invalid.add("event_types", format!("{word:?} is none of {known}"));
            }
        }
    }
    events
}

/// Refuses what leads into a private network. A host that cannot be found now may be there later; each try looks again.
pub async fn must_be_public(state: &AppState, url: &Url) -> Result<(), ApiError> {
    match hook::check(&state.fetch_policy, url).await {
        Ok(()) | Err(GuardError::Unresolved(_)) => Ok(()),
        Err(error) => Err(Invalid::only("url", error.to_string())),
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointJson {
    pub id: Uuid,
    /// The client whose events it gets; null: those of all.
    pub client_id: Option<Uuid>,
    pub url: String,
    pub description: Option<String>,
    /// Empty: every kind.
    pub event_types: Vec<String>,
    pub enabled: bool,
    pub disabled_at: Option<DateTime<Utc>>,
    /// `asked`, `gone` (it answered 410) or `failing` (nothing had reached it for three days).
    pub disabled_reason: Option<String>,
    /// The first failed try since one got through.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until then the secret before the last rotation signs, too.
    pub previous_secret_expires_at: Option<DateTime<Utc>>,
    /// The key that made it.
    pub created_by: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Endpoint> for EndpointJson {
    fn from(row: Endpoint) -> Self {
        Self {
            id: row.id,
            client_id: row.client_id,
            url: row.url,
            description: row.description,
            event_types: row.events,
            enabled: row.enabled,
            disabled_at: row.disabled_at,
            disabled_reason: row.disabled_why,
            failing_since: row.failing_since,
            previous_secret_expires_at: row.former_until,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointData {
    pub data: EndpointJson,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointList {
    pub data: Vec<EndpointJson>,
    pub meta: PageMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointWithSecret {
    pub data: EndpointJson,
    /// Verifies `webhook-signature` as Standard Webhooks says: `whsec_` and base64. It is shown this once.
    pub secret: String,
}
