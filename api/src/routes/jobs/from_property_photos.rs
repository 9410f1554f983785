//! POST /jobs/from-property-photos.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spool_job::planner::{self, DEFAULT_PROPERTY_TYPES};
use spool_job::spec::JobKind;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::CreatedJob;
use super::creation::{Creation, no_assets, required_campaign};
use super::request::{FilmWishes, MOST_SCENES, parameters, with_parameters};
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::json::ApiJson;
use crate::state::AppState;
use crate::validation::Invalid;

/// Seconds of a shot unless told otherwise.
const USUAL_CLIP: f64 = 4.0;

/// A video that walks through a property, one scene per type.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"campaign_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", "property_types": ["exterior", "kitchen"]}))]
pub struct FromPropertyPhotos {
    #[schema(required = true, nullable = false)]
    pub campaign_id: Option<Uuid>,
    /// Not needed; the campaign knows its client. When given it must be that one.
    pub client_id: Option<Uuid>,
    /// Types of scenes in the order wanted; default exterior, interior, kitchen, bedroom, bathroom, living_room.
    pub property_types: Option<Vec<String>>,
    #[serde(flatten)]
    pub film: FilmWishes,
    /// The wishes above may also stand in here; everything else is kept as it is.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
}

/// Creates a job from photos of a property. Nothing is spent before it is approved.
#[utoipa::path(post, path = "/api/v3/jobs/from-property-photos", operation_id = "create_job_from_property_photos",
    tag = "jobs", request_body = FromPropertyPhotos, responses((status = 201, body = CreatedJob)))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let (creation, types) = parse(body, &state, &caller)?;
    let clip_ms = creation.film.clip_ms;
    let reader = caller.clone();
    let answer = move |created| CreatedJob {
        property_types: Some(types.clone()),
        clip_duration: f64::from(clip_ms) / 1000.0,
        ..CreatedJob::of(created, &reader)
    };
    creation.run(&state, &caller, answer).await
}

/// What a body asks for, and which types.
pub fn parse(
    body: Map<String, Value>,
    state: &AppState,
    caller: &Caller,
) -> Result<(Creation, Vec<String>), ApiError> {
    let body: FromPropertyPhotos = with_parameters(body)?;
    let campaign_id = required_campaign(body.campaign_id)?;
    caller.claim_client(body.client_id)?;
    let types = types(body.property_types)?;
    let mut invalid = Invalid::default();
    let mut parameters = parameters(body.parameters, &mut invalid);
    let film = body.film.check(USUAL_CLIP, &state.defaults, &mut invalid);
    invalid.finish()?;
    parameters.insert("property_types".to_owned(), json!(types));
    let wanted = types.clone();
    let creation = Creation {
        kind: JobKind::PropertyPhotos,
        campaign_id,
        film,
        parameters,
        no_assets,
        plan: Box::new(move |photos, direction| planner::property_photos(photos, &wanted, direction)),
    };
    Ok((creation, types))
}

/// Types are words of the caller's own; what cannot be one is refused with a list of the offenders.
fn types(given: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let given = given.filter(|types| !types.is_empty());
    let Some(given) = given else {
        return Ok(DEFAULT_PROPERTY_TYPES.iter().map(|name| (*name).to_owned()).collect());
    };
    let is_type = |text: &String| {
        !text.is_empty()
            && text.len() <= 64
            && text
                .chars()
                .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | ' '))
    };
    let mut types: Vec<String> = Vec::new();
    let mut offenders: Vec<String> = Vec::new();
    for text in given.iter().map(|text| text.trim().to_lowercase()) {
        if !is_type(&text) {
            offenders.push(text);
        } else if !types.contains(&text) {
            types.push(text);
        }
    }
    if !offenders.is_empty() || types.len() > MOST_SCENES as usize {
        let why = format!(
            "property_types must be 1 to {MOST_SCENES} words of letters, digits, '_', '-' and spaces"
        );
        return Err(ApiError::bad_request(Code::InvalidTypes, why).with("invalid_types", offenders));
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_default_and_are_cleaned() {
        assert_eq!(types(None).expect("default").len(), 6);
        assert_eq!(types(Some(vec![])).expect("default").len(), 6);
        let given = vec![" Kitchen ".to_owned(), "kitchen".to_owned(), "wine cellar".to_owned()];
        assert_eq!(types(Some(given)).expect("valid"), ["kitchen", "wine cellar"]);
        let refused = types(Some(vec!["a/../b".to_owned()])).expect_err("is no word");
        assert_eq!(refused.code(), Code::InvalidTypes);
    }
}
