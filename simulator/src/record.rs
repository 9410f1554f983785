//! A prediction as the simulator keeps it, and as it shows it.

use crate::price::Charge;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use spool_provider::wire::{Metrics, Prediction, PredictionStatus, PredictionUrls, WebhookEvent};

/// Outputs, inputs and logs are deleted this long after the end.
pub(crate) const RETENTION: TimeDelta = TimeDelta::hours(1);

/// A file that a model made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputFile {
    /// Its name in the URL.
    pub(crate) name: String,
    pub(crate) content_type: String,
    /// SHA-256, the entity tag.
    pub(crate) sha256: String,
}

/// What will become of a run, decided when it is created.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fate {
    /// Never gets out of this status by itself.
    pub(crate) stuck_in: Option<PredictionStatus>,
    /// Does not end before it is let go.
    #[serde(default)]
    pub(crate) held: bool,
    /// Milliseconds of GPU time it is billed in the place of the usual, where time is what is billed.
    #[serde(default)]
    pub(crate) gpu_ms: Option<u64>,
    /// Fails with this text: before the model starts, or at its end.
    pub(crate) failure: Option<Failure>,
    /// Fails when more than so many of its model run.
    pub(crate) crowd: Option<usize>,
    /// Shown instead of the output.
    pub(crate) bad_output: Option<Value>,
}

/// A failure that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) before_start: bool,
    pub(crate) charge: Option<Charge>,
}

/// A prediction with everything that a restart must not forget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Order of creation.
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) input: Map<String, Value>,
    pub(crate) logs: String,
    pub(crate) files: Vec<OutputFile>,
    /// The model's output is a list, even of one.
    pub(crate) many: bool,
    pub(crate) status: PredictionStatus,
    pub(crate) error: Option<String>,
    /// `api`, or `web` for those that others made.
    pub(crate) source: String,
    pub(crate) created_at: DateTime<Utc>,
    /// When the model will start and end, if nothing happens.
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    pub(crate) deadline: Option<DateTime<Utc>>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) webhook: Option<String>,
    pub(crate) events: Vec<WebhookEvent>,
    pub(crate) fate: Fate,
    pub(crate) cancel_requested: bool,
    /// Of the input, once its media have been fetched.
    pub(crate) input_digest: Option<String>,
    /// The terminal webhook is still to be delivered.
    pub(crate) webhook_due: bool,
}

/// Where this simulator is reached.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// `http://host:port` of the APIs.
    pub(crate) api: String,
    /// `http://host:port` of the CDN.
    pub(crate) cdn: String,
}

/// How much of a prediction is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The answer to create: with the webhook it was given.
    Created,
    /// Get, cancel, webhooks.
    Full,
    /// A list's row: no logs.
    Row,
}

impl Record {
    /// Whether its data have been deleted.
    pub(crate) fn is_removed(&self, now: DateTime<Utc>) -> bool {
        self.source == "api" && self.completed_at.is_some_and(|at| at + RETENTION <= now)
    }

    /// As the API shows it at this time.
    pub(crate) fn show(&self, origin: &Origin, now: DateTime<Utc>, detail: Detail) -> Prediction {
        let removed = self.is_removed(now);
        let api = format!("{}/v1/predictions/{}", origin.api, self.id);
        let created = detail == Detail::Created;
        Prediction {
            id: self.id.clone(),
            model: self.model.clone(),
            version: self.version.clone(),
            input: if removed { Map::new() } else { self.input.clone() },
            logs: (detail != Detail::Row).then(|| if removed { String::new() } else { self.logs.clone() }),
            output: if removed { None } else { self.output(origin) },
            data_removed: removed,
            error: self.error.clone().map(Value::from),
            status: self.status,
            source: Some(self.source.clone()),
            created_at: self.created_at,
            started_at: self.started_at,
            completed_at: self.completed_at,
            deadline: self.deadline,
            metrics: self.metrics.clone(),
            urls: PredictionUrls {
                cancel: format!("{api}/cancel"),
                get: api,
                web: Some(format!("https://replicate.com/p/{}", self.id)),
                stream: None,
            },
            webhook: self.webhook.clone().filter(|_| created),
            webhook_events_filter: created.then(|| self.events.clone()).filter(|_| self.webhook.is_some()),
        }
    }

    fn output(&self, origin: &Origin) -> Option<Value> {
        if self.status != PredictionStatus::Succeeded {
            return None;
        }
        if let Some(bad) = &self.fate.bad_output {
            return Some(bad.clone());
        }
        let url = |file: &OutputFile| json!(format!("{}/xezq/{}/{}", origin.cdn, self.id, file.name));
        if self.many {
            return Some(self.files.iter().map(url).collect());
        }
        self.files.first().map(url)
    }
}
