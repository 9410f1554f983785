//! The JSON of a provider's limits.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use spool_db::limits::WHOLE_ACCOUNT;
use spool_db::limits::standing::{Class, Standing, is_model};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::validation::Invalid;

/// A limit and what it does at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitJson {
    pub provider: String,
    /// `create` for paid calls, `other` for reads, lists and cancels.
    pub class: &'static str,
    /// A model, or `*` for the whole account.
    pub model: String,
    /// Calls a minute; none: not limited.
    pub per_minute: Option<i32>,
    /// Predictions in flight; none: not limited.
    pub max_in_flight: Option<i32>,
    /// An operator has set it; else the workers' settings say it.
    pub set_by_operator: bool,
    /// Calls a minute that are made now: a provider may have lowered them.
    pub per_minute_now: Option<i32>,
    /// How many may be in flight now: fewer after trouble, and growing.
    pub max_in_flight_now: Option<i64>,
    /// Predictions in flight, given turns included.
    pub in_flight: i64,
    /// Tasks that wait for a turn.
    pub waiting: i64,
    pub paused_until: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
}

impl From<Standing> for LimitJson {
    fn from(standing: Standing) -> Self {
        Self {
            provider: standing.provider,
            class: standing.class.as_str(),
            model: standing.model,
            per_minute: standing.per_minute,
            max_in_flight: standing.max_in_flight,
            set_by_operator: standing.set_by_operator,
            per_minute_now: standing.per_minute_now,
            max_in_flight_now: standing.max_in_flight_now,
            in_flight: standing.in_flight,
            waiting: standing.waiting,
            paused_until: standing.paused_until,
            pause_reason: standing.pause_reason,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LimitList {
    pub data: Vec<LimitJson>,
    pub meta: LimitMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LimitMeta {
    pub total: usize,
}

/// A limit to set. What is left out is left to the workers' settings.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"provider": "replicate", "class": "create", "model": "google/veo-3.1-fast", "max_in_flight": 20}))]
pub struct SetLimit {
    /// `replicate`.
    pub provider: String,
    /// `create` for paid calls, `other` for reads, lists and cancels.
    #[schema(value_type = String, pattern = "^(create|other)$")]
    pub class: Class,
    /// A model; left out for the whole account.
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    #[schema(minimum = 1)]
    pub per_minute: Option<i32>,
    #[serde(default)]
    #[schema(minimum = 0)]
    pub max_in_flight: Option<i32>,
}

/// A limit that can be.
#[derive(Debug)]
pub struct Checked {
    pub provider: String,
    pub class: Class,
    pub model: String,
    pub per_minute: Option<i32>,
    pub max_in_flight: Option<i32>,
}

impl SetLimit {
    pub fn check(self) -> Result<Checked, ApiError> {
        let mut invalid = Invalid::default();
        let provider = provider(&mut invalid, self.provider);
        let model = model(&mut invalid, self.model);
        if self.per_minute.is_none() && self.max_in_flight.is_none() {
            invalid.add("per_minute", "or max_in_flight is needed; DELETE goes back to the settings");
        }
        if self.per_minute.is_some_and(|rate| rate < 1) {
            invalid.add("per_minute", "must not be less than 1; PUT /api/v3/admin/breakers stops all calls");
        }
        if self.max_in_flight.is_some_and(|most| most < 0) {
            invalid.add("max_in_flight", "must not be less than 0");
        }
        if self.class == Class::Other && (model != WHOLE_ACCOUNT || self.max_in_flight.is_some()) {
            invalid.add("class", "`other` has a rate of the whole account only");
        }
        invalid.finish()?;
        Ok(Checked {
            provider,
            class: self.class,
            model,
            per_minute: self.per_minute,
            max_in_flight: self.max_in_flight,
        })
    }
}

/// A provider that is called at all.
pub fn provider(invalid: &mut Invalid, name: String) -> String {
    if !spool_job::catalog::is_provider(&name) {
        invalid.add("provider", "is not known, such as replicate");
    }
    name
}

/// A model by its slug, or the whole account.
pub fn model(invalid: &mut Invalid, name: Option<String>) -> String {
    let name = name.unwrap_or_else(|| WHOLE_ACCOUNT.to_owned());
    if !is_model(&name) || name.len() > 200 {
        invalid.add("model", "must be owner/name, or * for the whole account");
    }
    name
}

/// Which limit.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichLimit {
    /// `replicate`.
    pub provider: String,
    /// `create` or `other`.
    #[param(value_type = String)]
    pub class: Class,
    /// A model; left out for the whole account.
    #[serde(default)]
    pub model: Option<String>,
}
