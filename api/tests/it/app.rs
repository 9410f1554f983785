//! A whole API on a database of its own, and a client that speaks to it without a socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, Request, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use spool_api::cors::CorsOrigins;
use spool_api::database::Database;
use spool_api::defaults::JobDefaults;
use spool_api::feed::Feed;
use spool_api::group_commit::GroupCommit;
use spool_api::key_cache::KeyCache;
use spool_api::key_rates::KeyRates;
use spool_api::links::Links;
use spool_api::material_reads::MaterialReads;
use spool_api::recent::Recent;
use spool_api::router;
use spool_api::state::{AppState, Parts};
use spool_api::webhook_secret::WebhookSecret;
use spool_db::keys::{self, ENTROPY_BYTES, KeyToken, NewKey, Scope};
use spool_job::clock::ManualClock;
use spool_job::spec::OnMusicFailure;
use spool_media::ffmpeg::Ffmpeg;
use spool_media::link::LinkSigner;
use spool_media::store::MediaStore;
use spool_provider::guard::FetchPolicy;
use spool_provider::hook_secret::HookSecrets;
use spool_telemetry::declared::By;
use spool_telemetry::metrics;
use sqlx::PgPool;
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) const WEBHOOK_SECRET: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY";
pub(crate) const SIGNING_KEY: &str = "a signing key of thirty-two chars or more";
pub(crate) const BASE: &str = "https://spool.example.com";

pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) pool: PgPool,
    pub(crate) state: AppState,
    pub(crate) clock: ManualClock,
    /// Admin key; what requests carry unless told otherwise.
    pub(crate) key: String,
    pub(crate) _media: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("is text"))
    }

    /// Checks status and code of a problem, and what all problems have.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{body}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["type"], format!("urn:spool:problem:{code}"));
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        for member in ["title", "detail", "error", "instance", "request_id"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {body}");
        }
        body
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }
}

/// Starts an API whose downloads reach the loopback ports of `allow`.
pub(crate) async fn start(pool: PgPool) -> TestApp {
    start_with(pool, "").await
}

pub(crate) async fn start_with(pool: PgPool, fetch_allow: &str) -> TestApp {
    // Nothing is kept: tests change rows behind the API's back.
    start_keeping(pool, fetch_allow, Duration::ZERO).await
}

/// Starts an API that keeps answers to status polls for `life`.
pub(crate) async fn start_keeping(pool: PgPool, fetch_allow: &str, life: Duration) -> TestApp {
    spool_provider::http::install_crypto();
    spool_db::schema::migrate(&pool).await.expect("our schema");
    spool_queue::migrate(&pool).await.expect("the queue's schema");
    let media = TempDir::new().expect("a folder");
    let clock = ManualClock::at(day());
    let db = Database::new(pool.clone(), false);
    let state = AppState::new(Parts {
        group_commit: GroupCommit::new(&db),
        material_reads: MaterialReads::new(&db),
        db,
        store: MediaStore::open(&media.path().display().to_string()).expect("a store"),
        ffmpeg: Ffmpeg::discover(2).expect("FFmpeg is installed"),
        links: Links::new(
            BASE.parse().expect("is a URL"),
            LinkSigner::new(&SecretString::from(SIGNING_KEY)).expect("a signer"),
        ),
        hook_secrets: HookSecrets::new(&SecretString::from(SIGNING_KEY)).expect("a key"),
        fetch_policy: fetch_allow.parse::<FetchPolicy>().expect("a policy"),
        defaults: JobDefaults {
            video_model: "google/veo-3.1-fast".to_owned(),
            on_music_failure: OnMusicFailure::ContinueWithSilence,
            music: true,
        },
        clock: Arc::new(clock.clone()),
        webhook_secret: WebhookSecret::new(Some(SecretString::from(WEBHOOK_SECRET)), None),
        feed: Feed::new(life),
        recent: Recent::new(life),
        key_rates: KeyRates::new(0),
        key_cache: KeyCache::new(life),
        cors: "https://app.example.com".parse::<CorsOrigins>().expect("an origin"),
    });
    let router = router::app(state.clone(), metrics::install(By::Api)).expect("the document is written");
    let mut app = TestApp { router, pool, state, clock, key: String::new(), _media: media };
    app.key = app.new_key(&[Scope::Admin], None).await;
    app
}

/// What is to come has this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn wait_until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

pub(crate) fn day() -> DateTime<Utc> {
    "2026-11-21T10:15:00Z".parse().expect("a time")
}

/// A photo from the examples.
pub(crate) fn photo(name: &str) -> Vec<u8> {
    std::fs::read(photos().join(name)).expect("the example photo")
}

pub(crate) fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lodge")
}

impl TestApp {
    pub(crate) async fn new_key(&self, scopes: &[Scope], client_id: Option<Uuid>) -> String {
        self.new_key_until(scopes, client_id, None).await
    }

    pub(crate) async fn new_key_until(
        &self,
        scopes: &[Scope],
        client_id: Option<Uuid>,
        expires_at: Option<DateTime<Utc>>,
    ) -> String {
        let mut entropy = [0; ENTROPY_BYTES];
        rand::fill(&mut entropy);
        let token = KeyToken::mint(entropy);
        let new = NewKey {
            name: "test",
            scopes,
            client_id,
            expires_at,
            requests_per_minute: None,
            created_by: None,
        };
        let mut conn = self.pool.acquire().await.expect("a connection");
        keys::insert(&mut conn, &token, &new).await.expect("the key is stored");
        token.reveal().expose_secret().to_owned()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("never fails");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a whole body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// For a stream, which ends only when it is refused: without its body.
    pub(crate) async fn send_to_stream(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("never fails");
        let (parts, body) = response.into_parts();
        let body = if parts.status.is_success() { Body::empty() } else { body };
        let body = to_bytes(body, usize::MAX).await.expect("a whole body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header("x-api-key", &self.key)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        let request = self.request(Method::GET, path).header(name, value);
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    /// Without a key.
    pub(crate) async fn get_bare(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    pub(crate) async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header("x-api-key", &self.key).body(Body::from(body.to_string()));
        self.send(request.expect("a request")).await
    }

    pub(crate) async fn post_form(&self, path: &str, form: Form) -> Answer {
        let (content_type, body) = form.finish();
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, content_type);
        self.send(request.body(Body::from(body)).expect("a request")).await
    }

    pub(crate) async fn post_keyed(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        let request = request.header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    /// A job of one clip of a new campaign.
    pub(crate) async fn job(&self) -> i64 {
        let body = json!({"campaign_id": self.lodge().await, "num_pairs": 1, "clip_duration": 4});
        let job = self.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
        job["job_id"].as_i64().expect("a number")
    }

    pub(crate) async fn client(&self, name: &str) -> Uuid {
        let created = self.post("/api/v3/clients", json!({ "name": name })).await.is(201);
        id_of(&created["data"]["id"])
    }

    pub(crate) async fn campaign(&self, client: Uuid, name: &str) -> Uuid {
        let created =
            self.post("/api/v3/campaigns", json!({ "name": name, "client_id": client })).await.is(201);
        id_of(&created["data"]["id"])
    }

    /// Uploads these example photos; their ids in that order.
    pub(crate) async fn upload(&self, campaign: Uuid, names: &[&str]) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for name in names {
            let form = Form::new().text("campaign_id", &campaign.to_string()).file(name, &photo(name));
            ids.push(id_of(&self.post_form("/api/v3/assets", form).await.is(201)["data"]["id"]));
        }
        ids
    }

    /// A campaign with four photos.
    pub(crate) async fn lodge(&self) -> Uuid {
        let client = self.client("Alpine Lodges").await;
        let campaign = self.campaign(client, "Lodge").await;
        self.upload(
            campaign,
            &["exterior-window.jpg", "living-room.jpg", "dining-fig.jpg", "terrace-sunset.jpg"],
        )
        .await;
        campaign
    }
}

pub(crate) fn id_of(value: &Value) -> Uuid {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no id"))
}

/// A multipart form.
pub(crate) struct Form(Vec<u8>);

const BOUNDARY: &str = "spool-test-boundary";

impl Form {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        let head =
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        self.0.extend(head.into_bytes());
        self
    }

    pub(crate) fn file(mut self, file_name: &str, bytes: &[u8]) -> Self {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        self.0.extend(head.into_bytes());
        self.0.extend(bytes);
        self.0.extend(b"\r\n");
        self
    }

    pub(crate) fn finish(mut self) -> (String, Vec<u8>) {
        self.0.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
        (format!("multipart/form-data; boundary={BOUNDARY}"), self.0)
    }
}
