//! The words that stand for states and kinds in answers, as the document lists them: those of `spool_job`, so that clients which are
//! generated from the document know each of them.

use serde_json::Value;
use spool_job::spec::JobKind;
use spool_job::state::{JobState, SceneState};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Where a job stands.
pub struct JobStatus;

/// How a job came to be.
pub struct JobType;

/// Where a scene stands.
pub struct SceneStatus;

fn one_of(description: &str, words: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    let words: Vec<Value> = words.map(Value::from).collect();
    let object: Object = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words))
        .build();
    RefOr::T(Schema::Object(object))
}

impl PartialSchema for JobStatus {
    fn schema() -> RefOr<Schema> {
        one_of("Where a job stands.", JobState::ALL.iter().map(|state| state.as_str()))
    }
}

impl PartialSchema for JobType {
    fn schema() -> RefOr<Schema> {
        let description = "How a job came to be; `prompt` is one of an older system.";
        one_of(description, JobKind::ALL.iter().map(|kind| kind.as_str()))
    }
}

impl PartialSchema for SceneStatus {
    fn schema() -> RefOr<Schema> {
        one_of("Where a scene stands.", SceneState::ALL.iter().map(|state| state.as_str()))
    }
}

impl ToSchema for JobStatus {}
impl ToSchema for JobType {}
impl ToSchema for SceneStatus {}
