//! `spool dev` as a child process, in a folder of its own, on free ports.

use crate::wait;
use reqwest::{Client, Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How to start it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker processes.
    pub workers: u32,
    /// How much faster than life the simulator is.
    pub speed: f64,
    /// Cached clips in the place of rendered ones.
    pub cheap_media: bool,
    /// More environment for all programs.
    pub env: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { workers: 1, speed: 60.0, cheap_media: false, env: Vec::new() }
    }
}

/// The line it prints when all are healthy.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// Base address of the API.
    pub api: String,
    /// Base address of the simulator.
    pub simulator: String,
    /// An API key with all scopes.
    pub key: String,
    /// The private Postgres.
    pub database_url: String,
    /// The workers at start.
    pub worker_pids: Vec<i32>,
    /// Where their metrics are.
    pub worker_metrics: Vec<String>,
}

/// A data folder. What a failed test leaves behind is what one needs to see why.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// A new one.
    pub fn new() -> Self {
        // As root, Postgres runs as another user, who must be able to enter; else its cluster would stay behind.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        Self(tempfile::Builder::new().prefix("spool-test-").permissions(open).tempdir().expect("a folder"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("logs and data are kept in {}", self.path().display());
        }
    }
}

/// A running system.
pub struct System {
    child: Child,
    /// What it said when it was ready.
    pub ready: Ready,
    /// Its data folder.
    pub dir: Folder,
    /// A client without a key.
    pub http: Client,
}

/// A program of this build.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the test's own path");
    let folder = own.parent().and_then(Path::parent).expect("the build folder");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` first", path.display());
    path
}

/// A command to run. Tests may start what they like.
#[expect(clippy::disallowed_methods, reason = "tests start the programs as a person would")]
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

impl System {
    /// Starts it in a new folder and waits until it is ready.
    pub async fn start(options: &Options) -> Self {
        Self::start_in(Folder::new(), options).await
    }

    /// Starts it in a folder that may have been used before.
    pub async fn start_in(dir: Folder, options: &Options) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut command = command(program("spool"));
        command
            .args(["dev", "--json", "--api-port", "0", "--simulator-port", "0"])
            .arg("--data-dir")
            .arg(dir.path())
            .args(["--workers", &options.workers.to_string(), "--speed", &options.speed.to_string()])
            .envs(options.env.iter().map(|(name, value)| (*name, value.as_str())))
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if options.cheap_media {
            command.arg("--cheap-media");
        }
        let mut child = command.spawn().expect("spool dev starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let ready = tokio::time::timeout(Duration::from_secs(120), lines.next_line()).await;
        let line = ready
            .expect("ready within two minutes")
            .expect("readable")
            .expect("a ready line before it ended");
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        Self { child, ready, dir, http }
    }

    /// Stops it as Ctrl-C would and gives the folder back. It must end well and leave no process.
    pub async fn stop(mut self) -> Folder {
        let pid = nix::unistd::Pid::from_raw(self.child.id().expect("still running") as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it can be asked to stop");
        let ended = tokio::time::timeout(Duration::from_secs(90), self.child.wait()).await;
        let status = ended.expect("it stops").expect("its status");
        assert!(status.success(), "spool dev ended with {status}");
        for pid in self.ready.worker_pids.iter().copied() {
            assert!(!alive(pid), "worker {pid} outlived spool dev");
        }
        self.dir
    }

    /// Kills the supervisor with -9 and gives the folder back. Nobody is asked to stop.
    pub async fn kill(mut self) -> Folder {
        self.child.kill().await.expect("it can be killed");
        self.dir
    }

    /// A request to the API with the key.
    pub async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let url = format!("{}{path}", self.ready.api);
        let mut request = self.http.request(method, url).header("x-api-key", &self.ready.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.expect("the API answers")
    }

    /// The JSON of a GET that must succeed.
    pub async fn get(&self, path: &str) -> Value {
        json_of(self.request(Method::GET, path, None).await).await
    }

    /// The JSON of a POST that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        json_of(self.request(Method::POST, path, Some(body)).await).await
    }

    /// The simulator's charges.
    pub async fn charges(&self) -> Vec<Value> {
        self.simulated("charges").await
    }

    /// Teaches the simulator a fault.
    pub async fn fault(&self, rule: Value) {
        self.simulator("faults", json!([rule])).await;
    }

    /// A POST to the simulator's controls.
    pub async fn simulator(&self, control: &str, body: Value) -> Value {
        let url = format!("{}/_sim/{control}", self.ready.simulator);
        json_of(self.http.post(url).json(&body).send().await.expect("the simulator answers")).await
    }

    /// What the simulator shows below a name of its controls.
    pub async fn simulated(&self, what: &str) -> Vec<Value> {
        let url = format!("{}/_sim/{what}", self.ready.simulator);
        let listed = json_of(self.http.get(url).send().await.expect("the simulator answers")).await;
        listed.as_array().expect("an array").clone()
    }

    /// Waits until a metric without labels, by the API's page, is so.
    pub async fn metric_is(&self, name: &str, so: impl Fn(f64) -> bool) -> f64 {
        crate::wait::until(name, async || {
            let page =
                self.http.get(format!("{}/metrics", self.ready.api)).send().await.ok()?.text().await.ok()?;
            let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            value.parse().ok().filter(|value| so(*value))
        })
        .await
    }

    /// Makes the simulator forget its faults.
    pub async fn no_faults(&self) {
        let url = format!("{}/_sim/faults", self.ready.simulator);
        let answer = self.http.delete(url).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }

    /// Live workers as the API lists them.
    pub async fn workers(&self) -> Vec<Value> {
        let listed = self.get("/api/v3/admin/workers").await;
        listed["data"].as_array().expect("a list").clone()
    }

    /// Waits until `count` workers are live.
    pub async fn workers_are(&self, count: usize) {
        wait::until("the workers", async || (self.workers().await.len() >= count).then_some(())).await;
    }

    /// A pool on its database.
    pub async fn database(&self) -> sqlx::PgPool {
        sqlx::postgres::PgPoolOptions::new()
            .max_connections(2)
            .test_before_acquire(true)
            .connect(&self.ready.database_url)
            .await
            .expect("the database answers")
    }
}

/// Whether a process runs.
pub fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn json_of(answer: Response) -> Value {
    let (status, url) = (answer.status(), answer.url().path().to_owned());
    let text = answer.text().await.expect("a body");
    assert!(status.is_success(), "{url} answered {status}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error} in {text}"))
}
