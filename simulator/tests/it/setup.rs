//! A running simulator to ask, and a small server that it can fetch from and report to.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use spool_simulator::{Config, Simulator};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;

/// Longest wait for anything that should happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Running {
    pub(crate) sim: Simulator,
    pub(crate) http: Client,
    pub(crate) config: Config,
    dir: TempDir,
}

/// A thousand times faster than real, in a fresh folder.
pub(crate) async fn start() -> Running {
    start_with(|_| {}).await
}

pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Running {
    rustls::crypto::ring::default_provider().install_default().ok();
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::in_folder(dir.path());
    config.speed = 1000.0;
    change(&mut config);
    let sim = Simulator::start(config.clone()).await.unwrap();
    let http = Client::builder().no_proxy().build().unwrap();
    Running { sim, http, config, dir }
}

impl Running {
    /// Stops it and starts another in the same folder.
    pub(crate) async fn restart(self, change: impl FnOnce(&mut Config)) -> Self {
        self.sim.stop().await;
        let mut config = self.config;
        change(&mut config);
        let sim = Simulator::start(config.clone()).await.unwrap();
        Self { sim, http: self.http, config, dir: self.dir }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sim.listening())
    }

    pub(crate) fn data(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let url = if path.starts_with("http") { path.to_owned() } else { self.url(path) };
        let mut request = self.http.request(method, url).header("authorization", "Bearer r8_test");
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.send(Method::GET, path, None).await;
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.send(Method::POST, path, Some(body)).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(crate) async fn fault(&self, rule: Value) {
        let (status, answer) = self.post("/_sim/faults", &rule).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Creates a prediction that must be accepted.
    pub(crate) async fn create(&self, model: &str, input: Value) -> Value {
        self.create_with(model, json!({"input": input})).await
    }

    pub(crate) async fn create_with(&self, model: &str, body: Value) -> Value {
        let (status, answer) = self.post(&format!("/v1/models/{model}/predictions"), &body).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    /// Waits for a prediction's end.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        self.until(&format!("the end of {id}"), async || {
            let shown = self.get(&format!("/v1/predictions/{id}")).await;
            let status = shown["status"].as_str().unwrap();
            (!["starting", "processing"].contains(&status)).then_some(shown)
        })
        .await
    }

    pub(crate) async fn run(&self, model: &str, input: Value) -> Value {
        let created = self.create(model, input).await;
        self.ended(created["id"].as_str().unwrap()).await
    }

    pub(crate) async fn charge(&self, id: &str) -> Value {
        let charges = self.get("/_sim/charges").await;
        let mut rows = charges.as_array().unwrap().iter().filter(|row| row["prediction_id"] == id);
        let row = rows.next().unwrap_or_else(|| panic!("no charge for {id}")).clone();
        assert!(rows.next().is_none(), "two charges for {id}");
        row
    }

    /// Asks again until there is an answer.
    pub(crate) async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let asking = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }
}

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Seen {
    files: Mutex<HashMap<String, Vec<u8>>>,
    arrivals: Mutex<Vec<Arrival>>,
    refuse: Mutex<u32>,
    news: Notify,
}

/// Serves files and takes webhooks.
pub(crate) struct Friend {
    seen: Arc<Seen>,
    origin: String,
}

impl Friend {
    pub(crate) async fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let router = Router::new()
            .route("/file/{name}", get(serve_file))
            .route("/hook", post(take_hook))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { seen, origin }
    }

    /// Offers a file; returns its URL.
    pub(crate) fn offer(&self, name: &str, bytes: Vec<u8>) -> String {
        self.seen.files.lock().unwrap().insert(name.to_owned(), bytes);
        format!("{}/file/{name}", self.origin)
    }

    pub(crate) fn hook(&self) -> String {
        format!("{}/hook?prediction=ours", self.origin)
    }

    /// Answers the next so many webhooks with 500.
    pub(crate) fn refuse(&self, count: u32) {
        *self.seen.refuse.lock().unwrap() = count;
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.seen.arrivals.lock().unwrap().clone()
    }

    /// Waits until so many webhooks have come.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Arrival> {
        let waiting = async {
            loop {
                let news = self.seen.news.notified();
                if self.arrivals().len() >= count {
                    return self.arrivals();
                }
                news.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("webhooks that should have come")
    }
}

async fn serve_file(State(seen): State<Arc<Seen>>, Path(name): Path<String>) -> Result<Vec<u8>, StatusCode> {
    seen.files.lock().unwrap().get(&name).cloned().ok_or(StatusCode::NOT_FOUND)
}

async fn take_hook(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let arrival = Arrival { headers, body: serde_json::from_slice(&body).unwrap(), raw: body.to_vec() };
    seen.arrivals.lock().unwrap().push(arrival);
    seen.news.notify_waiters();
    let mut refuse = seen.refuse.lock().unwrap();
    if *refuse > 0 {
        *refuse -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    StatusCode::OK
}

/// A picture from the examples.
pub(crate) fn photo(name: &str) -> Vec<u8> {
    let path = format!("{}/../examples/lodge/{name}.jpg", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
