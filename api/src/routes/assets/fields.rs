//! What is said about an asset, in JSON or as fields of a form: the same names, both casings, several synonyms.

use serde_json::{Map, Value};
use spool_db::{campaigns, clients};
use url::Url;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::casing::to_snake;
use crate::routes::clients::body::{LONGEST_TEXT, LONGEST_URL};
use crate::state::AppState;
use crate::validation::Invalid;

const MOST_TAGS: usize = 100;
const LONGEST_TAG: usize = 100;

/// Values by snake name, as given.
#[derive(Debug, Default)]
pub struct Fields(Map<String, Value>);

/// What was said, parsed.
#[derive(Debug, Clone)]
pub struct Said {
    pub campaign_id: Option<Uuid>,
    pub client_id: Option<Uuid>,
    /// `image`, `video` or `audio`, when the caller says so.
    pub kind: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub metadata: Value,
}

impl Fields {
    /// From a JSON object whose names are snake already.
    pub fn of(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// Adds one field of a form; an empty one counts as absent.
    pub fn add(&mut self, name: &str, text: String) {
        if !text.is_empty() {
            self.0.entry(to_snake(name)).or_insert(Value::String(text));
        }
    }

    /// Whether any of these names is there, even as null.
    pub fn names(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.contains_key(*name))
    }

    /// The first of these names that has a value.
    fn first(&self, names: &[&str]) -> Option<&Value> {
        names.iter().filter_map(|name| self.0.get(*name)).find(|value| !value.is_null())
    }

    /// The address to fetch from, if one is given.
    pub fn source_url(&self) -> Result<Option<Url>, ApiError> {
        let Some(value) = self.first(&["source_url", "url"]) else { return Ok(None) };
        let refuse = |why: &str| Err(Invalid::only("source_url", why));
        let Some(text) = value.as_str() else { return refuse("must be a text") };
        if text.len() > LONGEST_URL {
            return refuse("is too long");
        }
        match Url::parse(text) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                refuse("must hold no user or password")
            }
            Ok(url) => Ok(Some(url)),
            Err(_) => refuse("is not an absolute URL"),
        }
    }

    /// Everything else.
    pub fn parse(&self) -> Result<Said, ApiError> {
        let mut invalid = Invalid::default();
        let said = Said {
            campaign_id: self.id("campaign_id", &mut invalid),
            client_id: self.id("client_id", &mut invalid),
            kind: self.text(&["type", "asset_type"], 32, &mut invalid).map(|kind| kind.to_lowercase()),
            name: self.text(&["name"], 255, &mut invalid).map(|name| clean_name(&name)),
            description: self.text(&["description", "caption"], LONGEST_TEXT, &mut invalid),
            tags: self.tags(&mut invalid),
            metadata: self.metadata(&mut invalid),
        };
        if said.kind.as_deref().is_some_and(|kind| !matches!(kind, "image" | "video" | "audio")) {
            invalid.add("type", "must be image, video or audio");
        }
        if said.campaign_id.is_none() && said.client_id.is_none() && invalid.is_empty() {
            invalid.add("campaign_id", "campaign_id or client_id must be given");
        }
        invalid.finish()?;
        Ok(said)
    }

    pub fn id(&self, name: &str, invalid: &mut Invalid) -> Option<Uuid> {
        let value = self.first(&[name])?;
        let id = value.as_str().and_then(|text| text.parse().ok());
        if id.is_none() {
            invalid.add(name, "must be a UUID");
        }
        id
    }

    pub fn text(&self, names: &[&str], longest: usize, invalid: &mut Invalid) -> Option<String> {
        let Value::String(text) = self.first(names)? else {
            invalid.add(names[0], "must be a text");
            return None;
        };
        invalid.optional_text(names[0], Some(text.clone()), longest)
    }

    /// A list, a text of JSON, or words between commas.
    pub fn tags(&self, invalid: &mut Invalid) -> Vec<String> {
        let given = match self.first(&["tags", "tag_list"]) {
            None => return Vec::new(),
            Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
                Ok(list @ Value::Array(_)) => list,
                _ => Value::Array(text.split(',').map(|word| Value::String(word.to_owned())).collect()),
            },
            Some(other) => other.clone(),
        };
        let Value::Array(items) = given else {
            invalid.add("tags", "must be a list of texts, or words between commas");
            return Vec::new();
        };
        let mut tags: Vec<String> = Vec::new();
        for item in items {
            match item {
                Value::String(text) if text.contains('\0') => invalid.add("tags", "hold a NUL character"),
                Value::String(text) => {
                    let tag = text.trim();
                    if tag.chars().count() > LONGEST_TAG {
                        invalid.add("tags", format!("should be at most {LONGEST_TAG} characters each"));
                    } else if !tag.is_empty() && !tags.iter().any(|known| known == tag) {
                        tags.push(tag.to_owned());
                    }
                }
                _ => invalid.add("tags", "must be texts"),
            }
        }
        if tags.len() > MOST_TAGS {
            invalid.add("tags", format!("should be at most {MOST_TAGS}"));
        }
        tags
    }

    /// An object, or a text of JSON that is one.
    pub fn metadata(&self, invalid: &mut Invalid) -> Value {
        let given = match self.first(&["metadata", "meta"]) {
            Some(Value::String(text)) => Some(serde_json::from_str(text).unwrap_or(Value::Bool(false))),
            other => other.cloned(),
        };
        if given.as_ref().is_some_and(crate::extract::casing::has_nul) {
            invalid.add("metadata", "holds a NUL character");
        }
        invalid.object("metadata", given)
    }
}

/// Whose the asset will be: the campaign's client, which must be the one that is named, if one is.
pub async fn owner_of(state: &AppState, caller: &Caller, said: &Said) -> Result<Option<Uuid>, ApiError> {
    let named = caller.claim_client(said.client_id)?;
    let mut conn = state.db.read().await?;
    let Some(campaign_id) = said.campaign_id else {
        return match named {
            Some(client) if clients::find(&mut conn, client, caller.client).await?.is_none() => {
                Err(Invalid::only("client_id", "does not exist"))
            }
            named => Ok(named),
        };
    };
    match campaigns::find(&mut conn, campaign_id, caller.client).await? {
        None => Err(Invalid::only("campaign_id", "does not exist")),
        Some(campaign) if named.is_some_and(|named| named != campaign.client_id) => {
            Err(Invalid::only("client_id", "is not the client of the campaign"))
        }
        Some(campaign) => Ok(Some(campaign.client_id)),
    }
}

/// A name for people: the last part of what may be a path, without control characters. Never used as a path.
pub fn clean_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|character| !character.is_control()).take(255).collect();
    clean.trim().to_owned()
}

/// There was neither a file nor an address.
pub fn no_source() -> ApiError {
    ApiError::bad_request(Code::NoSource, "send a file as multipart field file, or an address as source_url")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(object) => Fields::of(object),
            _ => unreachable!(),
        }
    }

    #[test]
    fn tags_come_in_three_shapes() {
        for tags in [json!(["a", "b", "a", " "]), json!("[\"a\",\"b\"]"), json!("a, b")] {
            let said = fields(json!({"tags": tags, "client_id": Uuid::nil()})).parse().expect("valid");
            assert_eq!(said.tags, ["a", "b"]);
        }
        assert!(fields(json!({"tags": [1], "client_id": Uuid::nil()})).parse().is_err());
    }

    #[test]
    fn forms_and_json_say_the_same() {
        let mut form = Fields::default();
        form.add("campaignId", Uuid::nil().to_string());
        form.add("assetType", "Image".to_owned());
        form.add("caption", "A lodge".to_owned());
        form.add("meta", "{\"a\":1}".to_owned());
        form.add("name", String::new());
        let said = form.parse().expect("valid");
        assert_eq!(said.campaign_id, Some(Uuid::nil()));
        assert_eq!(said.kind.as_deref(), Some("image"));
        assert_eq!(said.description.as_deref(), Some("A lodge"));
        assert_eq!(said.metadata, json!({"a": 1}));
        assert_eq!(said.name, None);
    }

    #[test]
    fn one_owner_is_needed_and_types_are_checked() {
        assert!(fields(json!({})).parse().is_err());
        assert!(fields(json!({"client_id": "x"})).parse().is_err());
        assert!(fields(json!({"client_id": Uuid::nil(), "type": "document"})).parse().is_err());
        assert!(fields(json!({"client_id": Uuid::nil(), "metadata": "no json"})).parse().is_err());
    }

    #[test]
    fn names_are_no_paths() {
        for (given, wanted) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\photos\\a.jpg", "a.jpg"),
            ("a\u{0}\nb.jpg", "ab.jpg"),
            ("lodge.jpg", "lodge.jpg"),
            ("/", ""),
        ] {
            assert_eq!(clean_name(given), wanted);
        }
    }

    #[test]
    fn addresses_hold_no_passwords() {
        assert!(fields(json!({"url": "https://u:p@example.com/a.jpg"})).source_url().is_err());
        assert!(fields(json!({"sourceUrl": "x"})).source_url().expect("unknown name").is_none());
        assert!(fields(json!({"source_url": "relative"})).source_url().is_err());
        assert!(
            fields(json!({"source_url": "https://example.com/a.jpg"})).source_url().expect("valid").is_some()
        );
    }
}
