//! A real Prometheus that scrapes a running system every second and evaluates our rules.

use crate::system::{System, command};
use crate::wait;
use reqwest::Client;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::process::Child;

/// A running one. It ends with the value.
pub struct Prometheus {
    _child: Child,
    _data: TempDir,
    url: String,
    http: Client,
    begin: f64,
}

fn now() -> f64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "ranges of Prometheus are in its own time, which is this machine's"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// The address without its scheme, as targets are written.
fn target(url: &str) -> String {
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

/// The folder of our alerts and recording rules.
pub fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana/alerts")
}

/// An address on a port that is free now; whoever takes it in between makes a start fail.
pub(crate) fn free_address() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    free.expect("a port").to_string()
}

impl Prometheus {
    /// Starts one that scrapes this system, with our rules.
    pub async fn watching(system: &System) -> Self {
        Self::start(system, &rules(), None).await
    }

    /// Starts one that scrapes this system, with the rules of a folder, and tells an Alertmanager.
    pub async fn start(system: &System, rules: &Path, alertmanager: Option<&str>) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let told: Vec<String> = alertmanager.into_iter().map(target).collect();
        let workers: Vec<String> = system.ready.worker_metrics.iter().map(|url| target(url)).collect();
        // JSON is YAML.
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules.join("*.yaml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": told}]}]},
            "scrape_configs": [
                {"job_name": "spool-api", "static_configs": [{"targets": [target(&system.ready.api)]}]},
                {"job_name": "spool-worker", "static_configs": [{"targets": workers}]},
            ],
        });
        let path = data.path().join("prometheus.yaml");
        std::fs::write(&path, config.to_string()).expect("written");
        let address = free_address();
        let child = command("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Prometheus is installed: run scripts/bootstrap.sh test");
        let url = format!("http://{address}");
        let http = system.http.clone();
        wait::until("Prometheus", async || {
            let answer = http.get(format!("{url}/-/ready")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        Self { _child: child, _data: data, url, http, begin: now() }
    }

    /// The whole number that a query finds now; none where it finds nothing.
    pub async fn whole(&self, query: &str) -> Option<i64> {
        let found = self.ask("query", &[("query", query.to_owned())]).await;
        found.first()?["value"][1].as_str()?.parse().ok()
    }

    /// What a query finds from the start until now, every five seconds: series with their values.
    pub async fn range(&self, query: &str) -> Vec<Value> {
        let end = now();
        // As often as it is scraped: what is under way for two seconds only would fall between longer steps.
        let step = Duration::from_secs(1).as_secs_f64();
        let parameters = [
            ("query", query.to_owned()),
            ("start", self.begin.to_string()),
            ("end", end.to_string()),
            ("step", step.to_string()),
        ];
        self.ask("query_range", &parameters).await
    }

    async fn ask(&self, what: &str, parameters: &[(&str, String)]) -> Vec<Value> {
        let request = self.http.get(format!("{}/api/v1/{what}", self.url)).query(parameters);
        let answer: Value = request.send().await.expect("Prometheus answers").json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"]["result"].as_array().expect("series").clone()
    }
}

/// Whether a range has any number in it.
pub fn has_data(series: &[Value]) -> bool {
    let is_number =
        |pair: &Value| pair[1].as_str().is_some_and(|value| value != "NaN" && !value.ends_with("Inf"));
    series.iter().filter_map(|one| one["values"].as_array()).flatten().any(is_number)
}
