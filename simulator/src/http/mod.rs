//! The HTTP surface: which path leads where.

mod account;
mod admin;
mod cdn;
mod chat;
mod create;
mod files;
mod gate;
mod models;
mod options;
mod predictions;
mod problem;

use crate::sim::Sim;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::Arc;

/// Most bytes of a JSON body: room for data URIs.
const JSON_LIMIT: usize = 32 * 1024 * 1024;

/// Replicate, xAI and the controls.
pub(crate) fn api(sim: &Arc<Sim>) -> Router {
    let replicate = Router::new()
        .route("/v1/predictions", get(predictions::list).post(create::by_version))
        .route("/v1/predictions/{id}", get(predictions::get))
        .route("/v1/predictions/{id}/cancel", post(predictions::cancel))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{owner}/{name}", get(models::get))
        .route("/v1/models/{owner}/{name}/predictions", post(create::by_model))
        .route("/v1/models/{owner}/{name}/versions", get(models::versions))
        .route("/v1/models/{owner}/{name}/versions/{id}", get(models::version))
        .route("/v1/models/{owner}/{name}/readme", get(models::readme))
        .route("/v1/deployments/{owner}/{name}", get(models::deployment))
        .route("/v1/deployments/{owner}/{name}/predictions", post(create::by_deployment))
        .route("/v1/collections", get(models::collections))
        .route("/v1/collections/{slug}", get(models::collection))
        .route("/v1/files", get(files::list).post(files::create))
        .route("/v1/files/{id}", get(files::get).delete(files::delete))
        .route("/v1/account", get(account::account))
        .route("/v1/hardware", get(account::hardware))
        .route("/v1/webhooks/default/secret", get(account::webhook_secret))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
        .layer(from_fn_with_state(Arc::clone(sim), gate::gate));
    Router::new()
        .merge(replicate)
        .route("/xai/v1/chat/completions", post(chat::completions))
        .route("/xai/v1/models", get(chat::models))
        .route("/_sim/healthz", get(admin::healthz))
        .route("/_sim/charges", get(admin::charges))
        .route("/_sim/predictions", get(admin::predictions))
        .route("/_sim/predictions/foreign", post(admin::foreign))
        .route("/_sim/requests", get(admin::requests))
        .route("/_sim/webhooks", get(admin::webhooks))
        .route("/_sim/input-fetches", get(admin::input_fetches))
        .route("/_sim/leaks", get(admin::leaks))
        .route(
            "/_sim/faults",
            get(admin::faults).post(admin::add_faults).put(admin::add_faults).delete(admin::clear_faults),
        )
        .route("/_sim/release", post(admin::release))
        .route("/_sim/outage", post(admin::outage))
        .route("/_sim/credit", post(admin::credit))
        .route("/_sim/clock/advance", post(admin::advance))
        .route("/_sim/reset", post(admin::reset))
        .fallback(problem::no_such_page)
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
        .with_state(Arc::clone(sim))
}

/// Outputs, as `replicate.delivery` serves them.
pub(crate) fn cdn(sim: &Arc<Sim>) -> Router {
    Router::new()
        .route("/xezq/{id}/{name}", get(cdn::output))
        .fallback(problem::no_such_page)
        .with_state(Arc::clone(sim))
}
