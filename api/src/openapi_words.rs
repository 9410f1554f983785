//! The words that examples of answers are made of, by the name of a member and, where that has two meanings, of its schema.

use serde_json::{Value, json};

const CLIP: &str = "https://spool.example/api/v3/videos/17/clips/clip_0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e.mp4?exp=1795341600&sig=c2lnbmVk";
const FRAME: &str = "https://spool.example/api/v3/videos/17/thumbnail?exp=1795341600&sig=c2lnbmVk";
const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const PROVIDER_ID: &str = "kr2d2jhqbsrj60cjb2vtmekgh4";
const CLIENT: &str = "0190f3a1-7c1e-7000-8000-0123456789ab";
const AT: &str = "2026-11-21T10:17:30Z";

/// What stands for this member of a schema; none where its type says enough.
pub fn word(schema: &str, member: &str) -> Option<Value> {
    of_schema(schema, member).or_else(|| text(member).map(Value::from)).or_else(|| other(member))
}

/// Members that mean something else elsewhere, or make sense only together.
#[expect(clippy::match_same_arms, reason = "a table, by subject")]
fn of_schema(schema: &str, member: &str) -> Option<Value> {
    Some(match (schema, member) {
        ("AssetJson", "name" | "description") | ("CampaignAsset", "name") => json!("Terrace at sunset"),
        ("AssetJson" | "CampaignAsset", "type") => json!("image"),
        ("AssetJson", "userId" | "duration" | "waveformUrl") => Value::Null,
        ("CampaignJson" | "ClientCampaign", "name") => json!("Autumn"),
        ("CampaignJson", "status") => json!("active"),
        ("KeyJson", "name") => json!("Alpine Lodges, website"),
        ("KeyJson", "id") => json!("3f9a1c0d2b7e"),
        ("KeyJson", "scopes") => json!(["write"]),
        ("WorkerJson", "name") => json!("worker-1"),
        ("WorkerJson", "slots") => json!({"predict": 200, "collect": 4, "ffmpeg": 1, "hooks": 16}),
        ("EndpointJson", "url") => json!("https://lodges.example/hooks/spool"),
        ("EndpointJson", "description") => json!("website"),
        ("EndpointJson", "event_types") => json!(["job.completed"]),
        ("AttemptJson", "status") => json!(204),
        ("DeliveryJson", "state") => json!("delivered"),
        ("BreakerJson", "opened_by") => json!("call"),
        ("BreakerJson", "state") => json!("open"),
        ("BreakerJson", "why") => json!("5 of the last 6 calls failed"),
        ("PredictionJson", "state") => json!("submitted"),
        ("PredictionJson", "purpose") => json!("render"),
        ("ResolvedPrediction", "state") => json!("void"),
        ("ResolvedPrediction", "message") => json!("nothing was bought; its money is free"),
        ("OutputJson", "lost") => json!(false),
        ("CustodyMeta", "lost") => json!(0),
        ("OrphanJson", "state") => json!("succeeded"),
        ("JobJson" | "JobSummary", "status") => json!("completed"),
        ("JobJson" | "JobSummary", "current_stage") => json!("completed"),
        ("JobJson" | "JobSummary" | "SceneList", "progress_percentage") => json!(100),
        ("JobJson", "partial") => json!(false),
        ("JobJson" | "JobSummary", "approved_at" | "finished_at") => json!(AT),
        ("VideoJson", "finished_at") | ("DeliveryJson" | "AttemptJson", "ended_at") => json!(AT),
        ("SceneJson", "status") => json!("completed"),
        ("SceneJson" | "StoryboardScene", "title") => json!("Living room"),
        ("SceneJson" | "StoryboardScene", "index") => json!(0),
        ("ActionDone" | "ApprovedJob", "message") => json!("the job is approved and waits for a worker"),
        ("ActionDone", "action") => json!("approve"),
        ("ActionDone" | "ApprovedJob", "status") => json!("approved"),
        ("CanceledJob", "message") => json!("the job is canceled"),
        ("CanceledJob", "status") => json!("canceled"),
        ("CreatedJob" | "CampaignJobData", "status") => json!("pending"),
        ("DryRun" | "CampaignJobData", "type") => json!("image_pairs"),
        ("CampaignJobLinks", "self" | "status") => json!("/api/v3/jobs/17"),
        ("CampaignJobLinks", "approve") => json!("/api/v3/jobs/17/approve"),
        ("RetriedJob", "status") => json!("approved"),
        ("CreatedJob", "message") => json!("the storyboard is ready; approve the job to start rendering"),
        ("UpdatedScene", "message") => json!("the scene is as you say"),
        ("ReorderedScenes", "message") => json!("the scenes are in this order"),
        ("RemovedScene", "message") => json!("the scene is deleted"),
        ("RegeneratedScene", "message") => json!("the scene will be made anew"),
        ("AcceptedAudio", "message") => json!("the job will have music once it is approved"),
        ("AcceptedAudio", "status") => json!("pending"),
        ("AudioStatus", "status") => json!("completed"),
        ("AudioStatus", "audio_url") | ("AudioSegment", "url") => {
            json!("https://spool.example/api/v3/audio/17/download?exp=1795341600&sig=c2lnbmVk")
        }
        ("Health" | "Received", "status") => json!("ok"),
        ("Health", "version") => json!("0.1.0"),
        ("FailedAsset", "error") => {
            json!("the file is of a kind not taken here: send a picture, a video or a sound")
        }
        ("FailedAsset", "source") => json!("https://photos.example/page.html"),
        ("SkippedJob", "reason") => json!("the tasks of job 17 are still ending"),
        ("CostLine", "item") => json!("clips of google/veo-3.1-fast"),
        ("CostLine", "unit") => json!("second"),
        ("SpendMeta", "by") => json!("day"),
        ("SpendLine", "key") => json!("2026-11-21"),
        ("WasteClass", "class") => json!("useful"),
        ("LimitJson", "class") => json!("create"),
        ("LogLevelJson", "filter") => json!("info,spool_db=debug"),
        ("LogLevelJson", "program") => json!("worker"),
        ("StopJson", "why") => json!("prices look wrong"),
        ("BudgetJson" | "BudgetFit", "scope_id") => json!(""),
        ("BudgetJson", "soft_limit" | "hard_limit") => {
            json!({"micros": 150_000_000, "dollars": 150.0})
        }
        ("BudgetJson" | "BudgetFit", "turns_at") => json!("2026-11-22T00:00:00Z"),
        ("BudgetJson", "starts_on") => json!("2026-11-21"),
        ("BudgetJson" | "BudgetFit", "left") => json!({"micros": 148_400_000, "dollars": 148.4}),
        ("AuditJson", "about") => json!({"client": CLIENT}),
        ("WebhookMessage", "type") => json!("job.completed"),
        ("StoredType", "content_type") => json!("video/mp4"),
        ("PageMeta" | "VideoMeta" | "BudgetMeta", "offset") => json!(0),
        _ => return None,
    })
}

/// Members that are text wherever they stand.
#[expect(clippy::match_same_arms, reason = "a table, by subject")]
fn text(member: &str) -> Option<&'static str> {
    Some(match member {
        "client" | "name" => "Alpine Lodges",
        "client_id" | "clientId" => CLIENT,
        "campaign_id" | "campaignId" => "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e",
        "brief" => "Warm and calm",
        "description" => "A fire burns while snow falls outside",
        "video_name" => "Lodge in autumn",
        "homepage" => "https://lodges.example",
        "goal" => "Bookings for the winter",
        "model" => "google/veo-3.1-fast",
        "provider" => "replicate",
        "external_id" | "provider_id" => PROVIDER_ID,
        "key_id" | "by" | "created_by" | "set_by" => "3f9a1c0d2b7e",
        "key" => "spool_3f9a1c0d2b7e_c2VjcmV0IG9mIGEga2V5",
        "secret" => "whsec_c2VjcmV0IG9mIGFuIGVuZHBvaW50",
        "currency" => "USD",
        "zone" => "UTC",
        "scope" => "all",
        "period" => "day",
        "event_type" => "job.completed",
        "digest" | "thumbnailBlobId" => DIGEST,
        "format" => "jpeg",
        "url" | "contentUrl" => {
            "https://spool.example/api/v3/assets/0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e/data?exp=1795341600&sig=c2lnbmVk"
        }
        "video_url" => CLIP,
        "thumbnailUrl" | "thumbnail_url" => FRAME,
        "source_url" | "sourceUrl" => "https://photos.example/terrace.jpg",
        "prompt" => "Slow push-in towards the fireplace",
        "music_prompt" => "Calm piano",
        "scene_type" => "interior",
        "transition" => "cut",
        "kind" => "render",
        "queue" => "predict",
        "host" => "spool-1",
        "method" => "POST",
        "route" | "path" => "/api/v3/clients",
        "request_id" => "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e",
        "content_type" => "image/jpeg",
        "done" => "adopted",
        "updatedAt" | "updated_at" => AT,
        _ => return None,
    })
}

#[expect(clippy::match_same_arms, reason = "a table, by subject")]
fn other(member: &str) -> Option<Value> {
    Some(match member {
        "job_id" => json!(17),
        "pid" => json!(4711),
        "limit" => json!(25),
        "tags" => json!(["terrace", "sunset"]),
        "size" | "bytes" | "video_blob_size" | "assetBytes" => json!(204_800),
        "width" => json!(1920),
        "height" => json!(1080),
        "duration" | "clip_duration" | "total_duration" => json!(4.0),
        "estimated" | "settled_cost" | "estimated_cost" | "totalSpend" | "avgCost" => json!(0.6),
        "estimated_micros" | "settled_micros" | "totalSpendMicros" | "micros" | "cost_micros"
        | "estimate_micros" => {
            json!(600_000)
        }
        "reserved_micros" | "reservedMicros" | "reused_micros" | "reused_outputs" | "failed" | "index"
        | "remaining" | "canceled" | "lost_micros" => json!(0),
        "dollars" => json!(0.6),
        "unit_micros" => json!(150_000),
        "quantity" => json!(4.0),
        "requests_per_minute" | "per_minute" | "per_minute_now" => json!(600),
        "max_in_flight" | "max_in_flight_now" => json!(20),
        "last_status" => json!(204),
        "latency_ms" => json!(85),
        "views" => json!(1200),
        "clicks" => json!(60),
        "conversions" => json!(3),
        "ctr" => json!(0.05),
        "dry_run" => json!(false),
        _ => return None,
    })
}
