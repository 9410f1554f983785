//! The JSON of webhook deliveries.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use spool_db::hooks::deliveries::{Attempt, Delivery};
use utoipa::ToSchema;
use uuid::Uuid;

/// One event for one endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryJson {
    /// Sent as `webhook-id`, the same in every try.
    pub id: Uuid,
    pub endpoint_id: Uuid,
    pub event_type: String,
    pub job_id: Option<i64>,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// Tries so far, also those whose answer nobody knows.
    pub attempts: i32,
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// What the last try was answered.
    pub last_status: Option<i32>,
    /// Why the last try failed.
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it was delivered or given up.
    pub ended_at: Option<DateTime<Utc>>,
}

impl From<Delivery> for DeliveryJson {
    fn from(row: Delivery) -> Self {
        Self {
            id: row.id,
            endpoint_id: row.endpoint_id,
            event_type: row.event,
            job_id: row.job_id,
            state: row.state,
            attempts: row.attempts,
            next_attempt_at: row.next_at,
            last_status: row.status,
            last_error: row.error,
            created_at: row.created_at,
            ended_at: row.ended_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryData {
    pub data: DeliveryJson,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    pub data: Vec<DeliveryJson>,
    pub meta: DeliveryMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryMeta {
    pub limit: i64,
    /// Deliveries of this page.
    pub count: usize,
    /// For the next page; none when this is the last.
    pub next_cursor: Option<String>,
}

/// A try.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptJson {
    pub number: i32,
    pub begun_at: DateTime<Utc>,
    /// Null: it is under way.
    pub ended_at: Option<DateTime<Utc>>,
    pub status: Option<i32>,
    pub latency_ms: Option<i32>,
    pub error: Option<String>,
    /// The first 1,024 bytes of the answer.
    pub response: Option<String>,
}

impl From<Attempt> for AttemptJson {
    fn from(row: Attempt) -> Self {
        Self {
            number: row.number,
            begun_at: row.begun_at,
            ended_at: row.ended_at,
            status: row.status,
            latency_ms: row.latency_ms,
            error: row.error,
            response: row.answer,
        }
    }
}

/// What goes to the endpoint, signed, as the body of a POST. Only a description: it is stored and shown as JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"type": "job.completed", "timestamp": "2026-11-21T10:15:00.123456Z", "data": {"job_id": 17, "seq": 23,
    "revision": 1, "type": "image_pairs", "video_name": "Lodge 1", "client_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e",
    "campaign_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8f", "status": "completed", "current_stage": "completed",
    "progress_percentage": 100, "partial": false, "error_code": null, "error": null}}))]
pub struct WebhookMessage {
    /// The kind of event.
    #[schema(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// Where the job stood then. `seq` counts up per job: messages may come out of order, or twice.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// A delivery with what was sent and what came back.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryDetail {
    #[serde(flatten)]
    pub delivery: DeliveryJson,
    #[schema(value_type = WebhookMessage)]
    pub payload: Value,
    /// The newest 50 tries, the last one first.
    pub log: Vec<AttemptJson>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryDetailData {
    pub data: DeliveryDetail,
}
