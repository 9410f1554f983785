//! The account, its hardware list and its webhook secret.

use crate::sim::Sim;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use spool_provider::wire::WebhookSecret;
use std::sync::Arc;

/// `GET /v1/account`
pub(crate) async fn account() -> Json<Value> {
    Json(json!({
        "type": "organization", "username": "spool-simulator", "name": "Spool Simulator", "github_url": null,
        "avatar_url": null
    }))
}

/// `GET /v1/hardware`: a bare array.
pub(crate) async fn hardware() -> Json<Value> {
    Json(json!([
        {"name": "CPU", "sku": "cpu"},
        {"name": "Nvidia T4 GPU", "sku": "gpu-t4"},
        {"name": "Nvidia A100 (80GB) GPU", "sku": "gpu-a100-large"}
    ]))
}

/// `GET /v1/webhooks/default/secret`
pub(crate) async fn webhook_secret(State(sim): State<Arc<Sim>>) -> Json<WebhookSecret> {
    Json(WebhookSecret { key: sim.hooks.secret.clone() })
}
