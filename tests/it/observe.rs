//! `make observe` as it is typed: the system under load with a Prometheus and an Alertmanager that really watch it, where it says they are;
//! pictures at the end, and nothing stays behind.

use reqwest::{Client, Response};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use system_tests::system::{Folder, command, program};
use system_tests::wait;
use tokio::io::{AsyncBufReadExt, BufReader};

/// More than starting, watching for half a minute and drawing take on a busy machine.
const BOUND: Duration = Duration::from_secs(300);
/// The API and two workers.
const TARGETS: u64 = 3;

/// What is said after a word at the beginning of a line: an address.
fn address<'a>(lines: &'a [String], word: &str) -> Option<&'a str> {
    let line = lines.iter().find(|line| line.trim_start().starts_with(word) && line.contains("http://"))?;
    line.split_whitespace().find(|part| part.starts_with("http://"))
}

async fn get(url: &str) -> reqwest::Result<Response> {
    Client::builder().no_proxy().build()?.get(url).send().await
}

async fn json(url: &str) -> Option<Value> {
    get(url).await.ok()?.json().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_is_watched_where_it_says_and_drawn_at_the_end() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = Folder::new();
    let pictures = folder.path().join("drawn");
    let mut observe = command(program("spool"));
    observe
        .args(["observe", "--for", "30s", "--every", "4s", "--speed", "60", "--data-dir"])
        .arg(folder.path().join("data"))
        .arg("--draw")
        .arg(&pictures)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = observe.spawn().expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut said = Vec::new();
    let whole = tokio::time::timeout(BOUND, async {
        while let Some(line) = output.next_line().await.expect("text") {
            said.push(line);
            if said.last().is_some_and(|line| line.starts_with("It ends after")) {
                is_watched(&said).await;
            }
        }
        child.wait().await.expect("it ends")
    })
    .await;
    let status = whole.unwrap_or_else(|_| panic!("it did not end: {said:#?}"));
    assert!(status.success(), "{said:#?}");
    let jobs = said.iter().rev().find(|line| line.trim_start().starts_with("jobs:")).expect("a last count");
    assert!(jobs.contains(" 0 failed") && !jobs.contains(" 0 completed"), "{jobs}");
    let drawn = std::fs::read_dir(pictures.join("the-end")).expect("a folder of pictures");
    let drawn = drawn.filter(|file| {
        file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|end| end == "png"))
    });
    assert!(drawn.count() >= 6, "{said:#?}");
    for word in ["Prometheus", "Alertmanager", "API"] {
        let url = address(&said, word).expect("an address");
        assert!(get(url).await.is_err(), "{word} is still there");
    }
}

/// Both are there, scrape everything, know the alerts and each other.
async fn is_watched(said: &[String]) {
    let prometheus = address(said, "Prometheus").expect("an address").trim_end_matches("/alerts");
    wait::until("all targets to be up", async || {
        let up = json(&format!("{prometheus}/api/v1/query?query=count(up==1)")).await?;
        let count: u64 = up["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
        (count >= TARGETS).then_some(())
    })
    .await;
    let rules = json(&format!("{prometheus}/api/v1/rules?type=alert")).await.expect("rules");
    let groups = rules["data"]["groups"].as_array().expect("groups");
    let alerts: usize = groups.iter().filter_map(|group| group["rules"].as_array()).map(Vec::len).sum();
    assert!(alerts > 20, "{alerts} alerts");
    wait::until("Prometheus to know its Alertmanager", async || {
        let known = json(&format!("{prometheus}/api/v1/alertmanagers")).await?;
        (known["data"]["activeAlertmanagers"].as_array()?.len() == 1).then_some(())
    })
    .await;
    let alertmanager = address(said, "Alertmanager").expect("an address").trim_end_matches('/');
    let status = json(&format!("{alertmanager}/api/v2/status")).await.expect("its status");
    assert!(
        status["config"]["original"].as_str().is_some_and(|config| config.contains("receivers")),
        "{status}"
    );
}
