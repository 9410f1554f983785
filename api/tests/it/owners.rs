//! Ownership: every route, with keys of a client that owns nothing of what is asked for, and then with a key of the one that does.
//! The routes come from the document; a new one that names nothing and changes something needs a case here.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use spool_db::keys::Scope;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{Answer, TestApp, id_of, start};
use crate::clips::with_clip;
use crate::operations::{self, Operation};
use crate::videos::completed;

/// What one client owns.
pub(crate) struct Estate {
    client: Uuid,
    pub(crate) campaign: Uuid,
    asset: Uuid,
    /// Waits for its approval.
    pub(crate) job: i64,
    /// Of that job.
    pub(crate) scene: Uuid,
    /// Is told of that job.
    endpoint: Uuid,
    /// What it was told.
    delivery: Uuid,
    /// Completed, with a clip, a stretch of music and a soundtrack.
    pub(crate) done: i64,
    clip: Uuid,
    stretch: Uuid,
}

/// What a stranger's key gets.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Foreign {
    /// There is no such thing.
    Hidden,
    /// Another refusal that says nothing about it.
    Refused(u16),
    /// An answer that names nothing of it.
    Silent,
}

pub(crate) async fn estate(app: &TestApp) -> Estate {
    let done = completed(app, b"a film").await;
    let (clip, stretch) = with_clip(app, done).await;
    let shown = app.get(&format!("/api/v3/jobs/{done}")).await.is(200);
    let (client, campaign) = (id_of(&shown["client_id"]), id_of(&shown["campaign_id"]));
    let body = json!({"url": "https://93.184.216.34/hook", "client_id": client});
    let endpoint = app.post("/api/v3/webhooks/endpoints", body).await.is(201);
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    let job = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    let told = app.get("/api/v3/webhooks/deliveries").await.is(200);
    Estate {
        client,
        campaign,
        asset: id_of(&app.get("/api/v3/assets").await.is(200)["data"][0]["id"]),
        job: job["job_id"].as_i64().expect("an id"),
        scene: id_of(&job["storyboard"]["scenes"][0]["id"]),
        endpoint: id_of(&endpoint["data"]["id"]),
        delivery: id_of(&told["data"][0]["id"]),
        done,
        clip,
        stretch,
    }
}

impl Estate {
    pub(crate) fn path(&self, operation: &Operation) -> String {
        let own = |name: &str| match (name, operation.noun()) {
            ("id", "clients") => self.client.to_string(),
            ("id", "campaigns") => self.campaign.to_string(),
            ("id", "assets") => self.asset.to_string(),
            ("id", "jobs") => self.job.to_string(),
            ("id", "webhooks") if operation.path.contains("/deliveries/") => self.delivery.to_string(),
            ("id", "webhooks") => self.endpoint.to_string(),
            ("job_id", _) => self.done.to_string(),
            ("scene_id", _) => self.scene.to_string(),
            ("filename", _) => format!("clip_{}.mp4", self.clip),
            ("token", _) => self.stretch.to_string(),
            (_, "admin") => Uuid::nil().to_string(),
            (name, noun) => panic!("say here what {name} of {noun} is in {}", operation.path),
        };
        operation.filled(own)
    }

    /// A body that is fine but for whose things it names.
    pub(crate) fn body(&self, operation: &Operation) -> Value {
        let campaign = self.campaign;
        match operation.id.as_str() {
            "update_client" | "put_client" | "update_campaign" | "put_campaign" | "update_asset" => {
                json!({"name": "taken"})
            }
            "act_on_job" => json!({"action": "approve"}),
            "reorder_scenes" => json!({"scene_order": [self.scene]}),
            "refine_job" => json!({"scene_number": 1, "prompt": "taken"}),
            "update_scene" | "patch_scene" => json!({"prompt": "taken"}),
            "create_webhook_endpoint" => {
                json!({"url": "https://93.184.216.34/other", "client_id": self.client})
            }
            "update_webhook_endpoint" => json!({"enabled": true}),
            "report_video_metrics" => json!({"views": 7}),
            "generate_audio" => json!({"job_id": self.done}),
            "create_client" => json!({"name": "new"}),
            "create_campaign" => json!({"name": "new", "client_id": self.client}),
            "create_asset" | "create_asset_from_url" | "create_unified_asset" => {
                json!({"campaign_id": campaign, "source_url": "http://127.0.0.1:9/a.jpg"})
            }
            "create_assets_from_urls" => {
                json!({"campaign_id": campaign, "assets": ["http://127.0.0.1:9/a.jpg"]})
            }
            "dry_run_job" => {
                json!({"type": "image_pairs", "campaign_id": campaign, "num_pairs": 1, "clip_duration": 4})
            }
            "create_job_from_image_pairs" => {
                json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4})
            }
            "create_job_from_property_photos" => {
                json!({"campaign_id": campaign, "property_types": ["exterior"]})
            }
            _ => json!({}),
        }
    }

    /// The ids that no stranger may be told.
    fn names(&self) -> [String; 8] {
        let own = [
            self.client,
            self.campaign,
            self.asset,
            self.scene,
            self.clip,
            self.stretch,
            self.endpoint,
            self.delivery,
        ];
        own.map(|id| id.to_string())
    }
}

/// What a stranger's key gets for this operation.
fn foreign(operation: &Operation) -> Foreign {
    match operation.id.as_str() {
        // Bound keys make no clients.
        "create_client" => Foreign::Refused(403),
        // The fields say which of them does not exist.
        "create_asset" | "create_asset_from_url" | "create_unified_asset" => Foreign::Refused(422),
        // Each item is refused by itself; a filter finds nothing.
        "create_assets_from_urls" | "retry_jobs" => Foreign::Silent,
        "create_campaign"
        | "dry_run_job"
        | "create_job_from_image_pairs"
        | "create_job_from_property_photos"
        | "create_webhook_endpoint"
        | "generate_audio" => Foreign::Hidden,
        _ if operation.needs == Some(Scope::Admin) => Foreign::Refused(403),
        _ if operation.names_something() => Foreign::Hidden,
        _ if operation.method == Method::GET => Foreign::Silent,
        id => panic!("{id} has no case: what does a stranger's key get?"),
    }
}

async fn ask(app: &TestApp, estate: &Estate, operation: &Operation, key: &str) -> Answer {
    let request =
        Request::builder().method(&operation.method).uri(estate.path(operation)).header("x-api-key", key);
    let body = if operation.takes_body { estate.body(operation).to_string() } else { String::new() };
    let request = request.header("content-type", "application/json").body(Body::from(body));
    let request = request.expect("a request");
    if operation.id == "stream_job_events" {
        app.send_to_stream(request).await
    } else {
        app.send(request).await
    }
}

/// What there is of the estate, as its operator sees it.
async fn inventory(app: &TestApp, estate: &Estate) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in [
        format!("clients/{}", estate.client),
        format!("clients/{}/stats", estate.client),
        format!("campaigns/{}", estate.campaign),
        format!("campaigns/{}/assets", estate.campaign),
        format!("assets/{}", estate.asset),
        format!("jobs/{}", estate.job),
        format!("jobs/{}/scenes", estate.job),
        format!("jobs/{}", estate.done),
        format!("jobs/{}/scenes", estate.done),
        format!("videos/{}/metrics", estate.done),
        format!("audio/status/{}", estate.done),
        "clients".to_owned(),
        "campaigns".to_owned(),
        "webhooks/endpoints".to_owned(),
        "webhooks/deliveries".to_owned(),
        format!("webhooks/deliveries/{}", estate.delivery),
    ] {
        seen.push(app.get(&format!("/api/v3/{path}")).await.is(200));
    }
    seen
}

#[sqlx::test(migrations = false)]
async fn no_key_sees_or_touches_what_is_not_its_clients(pool: PgPool) {
    let app = start(pool).await;
    let estate = estate(&app).await;
    let stranger = app.client("Stranger").await;
    let guarded: Vec<Operation> = operations::all().into_iter().filter(|op| op.needs.is_some()).collect();
    let before = inventory(&app, &estate).await;
    for scope in [Scope::Read, Scope::Write] {
        let key = app.new_key(&[scope], Some(stranger)).await;
        for operation in &guarded {
            let answer = ask(&app, &estate, operation, &key).await;
            let what = format!("{} with {scope}: {}", operation.id, String::from_utf8_lossy(&answer.body));
            let wanted =
                if operation.needs > Some(scope) { Foreign::Refused(403) } else { foreign(operation) };
            match wanted {
                Foreign::Hidden => {
                    assert_eq!(
                        (answer.status.as_u16(), &answer.json()["code"]),
                        (404, &json!("not_found")),
                        "{what}"
                    );
                }
                Foreign::Refused(status) => assert_eq!(answer.status.as_u16(), status, "{what}"),
                Foreign::Silent => {
                    assert!(answer.status.is_success(), "{what}");
                    assert!(!estate.names().iter().any(|name| what.contains(name)), "{what}");
                }
            }
        }
    }
    assert_eq!(inventory(&app, &estate).await, before, "nothing was changed");
}

#[sqlx::test(migrations = false)]
async fn its_own_key_is_let_in_by_the_same_requests(pool: PgPool) {
    let app = start(pool).await;
    let estate = estate(&app).await;
    let key = app.new_key(&[Scope::Write], Some(estate.client)).await;
    let mut guarded: Vec<Operation> = operations::all().into_iter().filter(|op| op.needs.is_some()).collect();
    // What takes away comes last.
    guarded.sort_by_key(|op| op.method == Method::DELETE);
    for operation in &guarded {
        let answer = ask(&app, &estate, operation, &key).await;
        let what = format!("{}: {}", operation.id, String::from_utf8_lossy(&answer.body));
        let status = answer.status.as_u16();
        assert!(status < 500, "{what}");
        let is_refused = matches!(operation.id.as_str(), "create_client" | "delete_client")
            || operation.needs == Some(Scope::Admin);
        if is_refused {
            assert_eq!(status, 403, "{what}");
        } else {
            assert!(!matches!(status, 401 | 403 | 404), "{what}");
        }
    }
    let key_of_all = app.get("/api/v3/clients").await.is(200);
    assert_eq!(key_of_all["meta"]["total"], 1, "a bound key cannot delete its client");
}

#[sqlx::test(migrations = false)]
async fn a_bound_key_never_administers(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    let body = json!({"name": "x", "scopes": ["admin"], "client_id": client});
    let problem = app.post("/api/v3/admin/keys", body).await.is_problem(422, "validation_failed");
    assert!(problem["details"]["scopes"].is_array());
    // Nor by any other way into the table.
    #[expect(clippy::disallowed_methods, reason = "what the database itself refuses")]
    let forced = sqlx::query(
        "INSERT INTO api_keys (id, name, secret_hash, scopes, client_id) VALUES ('forced', 'x', decode(repeat('00', 32), 'hex'), '{admin}', $1)",
    )
    .bind(client)
    .execute(&app.pool)
    .await;
    assert!(forced.expect_err("is refused").to_string().contains("api_keys_bound"));
}
