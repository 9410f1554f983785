//! The JSON of breakers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use spool_db::limits::breaker::{By, Open};
use utoipa::ToSchema;

/// A breaker that is not closed.
#[derive(Debug, Serialize, ToSchema)]
pub struct BreakerJson {
    pub provider: String,
    /// A model, or `*` for the provider as such.
    pub model: String,
    /// `open`: nothing goes. `half_open`: one task at a time goes as a probe.
    pub state: &'static str,
    /// `call` (its API fails), `run` (its predictions fail), `account` (no credit, bad token) or `operator`.
    pub opened_by: &'static str,
    pub why: String,
    pub opened_at: DateTime<Utc>,
    /// When probes begin; none while an operator holds it open.
    pub open_until: Option<DateTime<Utc>>,
    /// The task that is the probe now.
    pub probe_task: Option<i64>,
}

impl BreakerJson {
    pub fn of(open: Open, now: DateTime<Utc>) -> Self {
        Self {
            state: open.state(now),
            opened_by: open.by.word(),
            open_until: (open.by != By::Operator).then_some(open.until),
            probe_task: open.probe.filter(|(_, until)| *until > now).map(|(task, _)| task),
            provider: open.provider,
            model: open.model,
            why: open.why,
            opened_at: open.since,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BreakerList {
    pub data: Vec<BreakerJson>,
    pub meta: BreakerMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BreakerMeta {
    pub total: usize,
}

/// A breaker to open.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"provider": "replicate", "model": "google/veo-3.1-fast", "why": "prices changed"}))]
pub struct OpenBreaker {
    /// `replicate`.
    pub provider: String,
    /// A model; left out for all of them.
    #[serde(default)]
    pub model: Option<String>,
    /// For whoever finds it open.
    #[serde(default)]
    #[schema(required = true, nullable = false, min_length = 1, max_length = 500)]
    pub why: Option<String>,
}

/// Which breaker.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichBreaker {
    /// `replicate`.
    pub provider: String,
    /// A model; left out for the provider as such.
    #[serde(default)]
    pub model: Option<String>,
}
