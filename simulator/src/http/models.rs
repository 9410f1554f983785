//! Models, their versions and schemas, collections and deployments.

use crate::http::problem;
use crate::model::{Family, Model};
use crate::schema;
use crate::sim::Sim;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::sync::Arc;

type Shared = State<Arc<Sim>>;
type Slug = Path<(String, String)>;

/// When every model was published, as far as this simulator knows.
const PUBLISHED: &str = "2025-10-15T12:00:00.000000Z";

fn show_version(model: &Model) -> Value {
    json!({
        "id": model.version_id(), "created_at": PUBLISHED, "cog_version": "0.14.1",
        "openapi_schema": schema::openapi(model)
    })
}

fn show(model: &Model) -> Value {
    let (owner, name) = model.slug.split_once('/').unwrap_or(("", &model.slug));
    json!({
        "url": format!("https://replicate.com/{}", model.slug), "owner": owner, "name": name,
        "description": model.description, "visibility": "public", "is_official": model.official,
        "github_url": null, "paper_url": null, "license_url": null, "run_count": 100_000,
        "cover_image_url": null, "default_example": null, "latest_version": show_version(model)
    })
}

fn page(results: Vec<Value>) -> Json<Value> {
    Json(json!({"next": null, "previous": null, "results": results}))
}

/// `GET /v1/models`
pub(crate) async fn list(State(sim): Shared) -> Json<Value> {
    page(sim.models.all().iter().map(show).collect())
}

fn answer(model: Option<&Model>, show: impl FnOnce(&Model) -> Value) -> Response {
    match model {
        Some(model) => Json(show(model)).into_response(),
        None => problem::not_found("The requested resource could not be found."),
    }
}

/// `GET /v1/models/{owner}/{name}`
pub(crate) async fn get(State(sim): Shared, Path((owner, name)): Slug) -> Response {
    answer(sim.models.by_slug(&format!("{owner}/{name}")), show)
}

/// `GET /v1/models/{owner}/{name}/versions`
pub(crate) async fn versions(State(sim): Shared, Path((owner, name)): Slug) -> Response {
    let list = |model: &Model| json!({"next": null, "previous": null, "results": [show_version(model)]});
    answer(sim.models.by_slug(&format!("{owner}/{name}")), list)
}

/// `GET /v1/models/{owner}/{name}/versions/{id}`
pub(crate) async fn version(
    State(sim): Shared,
    Path((owner, name, id)): Path<(String, String, String)>,
) -> Response {
    let model = sim.models.by_slug(&format!("{owner}/{name}")).filter(|model| model.version_id() == id);
    answer(model, show_version)
}

/// `GET /v1/models/{owner}/{name}/readme`: text.
pub(crate) async fn readme(State(sim): Shared, Path((owner, name)): Slug) -> Response {
    match sim.models.by_slug(&format!("{owner}/{name}")) {
        Some(model) => format!("# {}\n\n{}\n", model.slug, model.description).into_response(),
        None => problem::not_found("The requested resource could not be found."),
    }
}

/// `GET /v1/deployments/{owner}/{name}`: every model is deployed under its own name by everyone.
pub(crate) async fn deployment(State(sim): Shared, Path((owner, name)): Slug) -> Response {
    let model = sim.models.all().iter().find(|model| model.slug.ends_with(&format!("/{name}")));
    answer(model, |model| {
        json!({
            "owner": owner, "name": name,
            "current_release": {
                "number": 1, "model": model.slug, "version": model.version_id(), "created_at": PUBLISHED,
                "created_by": {"type": "organization", "username": owner, "name": owner},
                "configuration": {"hardware": "gpu-a100-large", "min_instances": 0, "max_instances": 5}
            }
        })
    })
}

const COLLECTIONS: &[(&str, &str, &[Family])] = &[
    ("image-to-video", "Image to video", &[Family::Veo, Family::Hailuo]),
    ("text-to-image", "Text to image", &[Family::Flux]),
    ("ai-music-generation", "Music generation", &[Family::Musicgen]),
    ("text-to-speech", "Text to speech", &[Family::Speech]),
];

fn show_collection(slug: &str, name: &str) -> Value {
    json!({"slug": slug, "name": name, "description": name, "full_description": name})
}

/// `GET /v1/collections`
pub(crate) async fn collections() -> Json<Value> {
    page(COLLECTIONS.iter().map(|(slug, name, _)| show_collection(slug, name)).collect())
}

/// `GET /v1/collections/{slug}`
pub(crate) async fn collection(State(sim): Shared, Path(slug): Path<String>) -> Response {
    let Some((slug, name, families)) = COLLECTIONS.iter().find(|(known, ..)| *known == slug) else {
        return problem::not_found("The requested resource could not be found.");
    };
    let members = sim.models.all().iter().filter(|model| families.contains(&model.family));
    let mut shown = show_collection(slug, name);
    shown["models"] = members.map(show).collect();
    Json(shown).into_response()
}
